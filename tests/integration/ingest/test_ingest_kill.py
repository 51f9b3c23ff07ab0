"""The ingest API is killed under load: every webhook that was answered is in raw, and core has each event once."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from burst import Burst
from ingest_process import SETTINGS, IngestProcess, apply, rows

from database.connection import open_pool
from database.environment import Environment
from sync.normalise import drain
from tests.support.waiting import wait_until


@pytest.fixture
def process(environment: Environment, database_url: str, tmp_path: Path) -> IngestProcess:
    apply(environment, SETTINGS)
    assert environment.master_key is not None
    return IngestProcess(tmp_path, database_url, environment.home, environment.master_key)


def _stored(database_url: str) -> dict[int, str]:
    return {
        row["event_id"]: json.loads(row["body"])["context"]["id"]
        for row in rows(database_url, "select event_id, body from raw.webhook_events")
    }


async def _drain(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        while (await drain(pool)).rows:
            pass


def test_sigkill_under_load_loses_no_answered_webhook_and_makes_no_duplicate_event(
    process: IngestProcess, database_url: str
) -> None:
    process.start()
    with Burst(process.url) as burst:
        for _ in range(3):
            before = burst.statuses[200]
            wait_until(lambda before=before: burst.statuses[200] > before + 100, 60)  # type: ignore[misc]
            assert process.stop(signal.SIGKILL) == -signal.SIGKILL
            process.start()
        last = burst.statuses[200]
        wait_until(lambda: burst.statuses[200] > last + 50, 60)
    process.stop()
    assert burst.statuses[0] > 0, "no kill hit a request"
    stored = _stored(database_url)
    assert {order_id: stored.get(event_id) for order_id, event_id in burst.answered.items()} == {
        order_id: order_id for order_id in burst.answered
    }
    queued = {row["id"] for row in rows(database_url, "select unnest(raw_ids) as id from sync.raw_queue")}
    assert queued == set(stored)

    asyncio.run(_drain(database_url))
    assert not rows(database_url, "select 1 from sync.raw_queue")
    events = [row["order_id"] for row in rows(database_url, "select order_id from core.order_status_events")]
    assert len(events) == len(set(events)), "an event is stored twice"
    assert set(events) == set(stored.values())
    assert set(burst.answered) <= set(events)


def test_sigterm_under_load_answers_what_it_has_taken(process: IngestProcess, database_url: str) -> None:
    process.start()
    with Burst(process.url, retry=False) as burst:
        wait_until(lambda: burst.statuses[200] > 200, 60)
        process.stop()
        wait_until(lambda: burst.statuses[0] > 0)
    stored = _stored(database_url)
    assert all(stored.get(event_id) == order_id for order_id, event_id in burst.answered.items())
    # Whatever is in raw was answered too: nothing was dropped between commit and answer.
    assert set(stored) == set(burst.answered.values())
    assert "ingest_stopped" in process.log()
