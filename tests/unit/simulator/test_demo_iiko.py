"""The demo's restaurants at iiko."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from fastapi import FastAPI, Request

from connectors import registry
from connectors.iiko.simulator_state import SimulatorState
from demo.crms.iiko import demo_account
from sync.settings import parse
from tests.support.http_server import serve

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
SETTINGS = Path(__file__).parents[3] / "demo" / "crms" / "iiko.yaml"


def state_of(now: datetime = NOW, seed: int = 20) -> SimulatorState:
    state: SimulatorState = demo_account(now, seed).app._state
    return state


def dump(state: SimulatorState) -> bytes:
    return msgspec.json.encode([one.info() for one in state.orders.values()])


@pytest.fixture(scope="module")
def state() -> SimulatorState:
    """Read it, do not change it."""
    return state_of()


def test_the_same_now_and_seed_give_the_same_account_and_another_seed_another(state: SimulatorState) -> None:
    assert dump(state) == dump(state_of())
    assert dump(state) != dump(state_of(seed=21))


def test_two_months_of_orders_of_every_kind_lie_before_now(state: SimulatorState) -> None:
    orders = list(state.orders.values())
    assert 1000 < len(orders) < 1500
    assert all(NOW - timedelta(days=61) < one.created_at <= one.changed_at < NOW for one in orders)
    assert max(one.created_at for one in orders) > NOW - timedelta(hours=3)
    statuses = Counter(one.status for one in orders)
    assert statuses["Closed"] > 0.85 * len(orders)
    assert statuses["Cancelled"] > 20
    assert any(one.is_table for one in orders)
    assert len({one.zone for one in orders}) == 2
    assert all(one.body["sum"] > 0 for one in orders)
    assert any(one.phone is None and (one.body["customer"] or {}).get("id") for one in orders)


@pytest.fixture
def received() -> Iterator[tuple[str, list[Any]]]:
    """(address, what came there)."""
    app, found = FastAPI(), []

    @app.post("/hook")
    async def hook(request: Request) -> dict[str, str]:
        found.append((request.headers["authorization"], await request.json()))
        return {"status": "accepted"}

    with serve(app) as url:
        yield f"{url}/hook?token=s3cr3t", found


def test_what_happens_at_the_account_is_told_to_the_address_that_it_is_connected_to(
    received: tuple[str, list[Any]],
) -> None:
    url, found = received
    account = demo_account(NOW, 20)
    assert account.connect is not None
    assert account.change is not None
    account.change()
    account.connect(url)
    for _ in range(5):
        account.change()
    assert len(found) == 5
    authorization, [event] = found[0]
    assert authorization == "Bearer s3cr3t"
    assert event["eventType"] in ("DeliveryOrderUpdate", "TableOrderUpdate")


def test_the_settings_of_its_project_are_valid() -> None:
    text = yaml.safe_dump({"projects": [yaml.safe_load(SETTINGS.read_text())]})
    environ = {"URL": "http://127.0.0.1:9", "HOOK": "hook-secret", **demo_account(NOW, 20).variables}
    known = {name: registry.get(name).capabilities for name in registry.names()}
    [project] = parse(text, source="iiko.yaml", environ=environ, known=known)
    assert (project.id, project.crm) == ("trattoria", "iiko")
