"""A stream to which nothing happens says so, with the place to go on from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from dashboard.identity import Identity
from dashboard.routes import stream
from dashboard.stream.feed import Feed, Portion
from dashboard.stream.rights import Rights

pytestmark = pytest.mark.anyio


async def test_a_quiet_stream_sends_its_position_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)

    async def nobody(_: Any) -> dict[Any, Any]:
        return {}

    rights = Rights(nobody)
    feed = Feed(None, None, rights.refresh)  # type: ignore[arg-type]
    feed._head = feed._kept_after = 7
    services: Any = SimpleNamespace(rights=rights, feed=feed)
    soon = datetime.now(UTC) + timedelta(hours=1)
    reader = Identity(1, "reader", "viewer", None, uuid4(), "bearer", soon)
    events = stream._events(services, reader, None, Portion([], 7))
    assert [await anext(events) for _ in range(3)] == [b": heartbeat\nid: 7\n\n"] * 3
    feed.stop()
    assert [piece async for piece in events] == []


def test_heartbeats_come_before_proxies_give_up() -> None:
    assert stream.HEARTBEAT_SECONDS <= 30
