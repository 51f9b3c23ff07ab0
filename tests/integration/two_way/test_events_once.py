"""One change at the CRM is told once, by webhook, reading and pull together, whether it also goes into vms or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors import registry
from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.keycrm.simulator_bodies import order_context
from sync.normalise import drain
from sync.pull import pull_project
from sync.requests import run_due
from sync.two_way import inbound
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio
KEY = "right-key-0123456789"
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
OPTIONS = {"source_id": 2, "warehouse_id": 1, "rate_limit": {"requests": 10_000, "per_seconds": 1.0}}


@pytest.fixture
def state() -> SimulatorState:
    """Its clock stands still: vendors' times are whole seconds, in which much may happen."""
    return SimulatorState(api_key=KEY, rate_limit=0, clock=lambda: NOW)


@pytest.fixture
def base_url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield f"{url}/v1"


@pytest.fixture(params=[True, False], ids=["inbound", "no inbound"])
async def shop(request: pytest.FixtureRequest, world: World, state: SimulatorState, base_url: str) -> World:
    """With one order, which everybody knows."""
    await world.add_project(
        "print", crm="keycrm", base_url=base_url, key=KEY, options=OPTIONS, vms={"inbound": request.param}
    )
    buyer = state.add_buyer("Olena", phones=["+380671112233"])
    state.add_order(source_id=2, buyer=buyer, products=[{"name": "Cup", "price": 100, "quantity": 1}], announce=False)
    await settle(world)
    await events(world)
    return world


@pytest.fixture
def is_inbound(request: pytest.FixtureRequest) -> bool:
    return bool(request.node.callspec.params["shop"])


async def settle(world: World) -> None:
    """As relay and Dagster do, until nothing is left to do."""
    for _ in range(2):
        await drain(world.pool, "print")
        await inbound.apply_due(world.pool, lookup=registry.get)
        await run_due(world.pool, world.keyring, single_only=True)
        await inbound.apply_due(world.pool, lookup=registry.get)
        await pull_project(world.pool, world.keyring, "print")
        await inbound.apply_due(world.pool, lookup=registry.get)


async def hear(world: World, state: SimulatorState, order_id: int, event: str = "order.change_order_status") -> None:
    context = order_context(state.orders.rows[order_id])
    await world.webhook(json.dumps({"event": event, "context": context}), project_id="print", crm="keycrm")
    await settle(world)


async def events(world: World) -> list[dict[str, Any]]:
    """Since the last call."""
    rows = await world.rows("delete from sync.stream_events returning *")
    return sorted(rows, key=lambda row: row["event_id"])


@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=1)], ids=["in the same second", "later"])
async def test_a_status_that_a_webhook_told_is_one_event(
    shop: World, state: SimulatorState, is_inbound: bool, later: timedelta
) -> None:
    state.change_status(1, 8, at=NOW + later, announce=False)
    await hear(shop, state, 1)
    [event] = await events(shop)
    assert (event["kind"], event["entity_id"], event["origin"], event["payload"]["status_id"]) == (
        "order", "1", "crm", "8",
    )  # fmt: skip
    if is_inbound:
        assert (event["payload"]["changed"], event["payload"]["status"]) == (["status"], "SHIPPED")
        assert event["vms_entity_id"] == await shop.value("select id from vms.orders")
    else:
        assert "changed" not in event["payload"]


async def test_a_new_order_that_a_webhook_told_is_one_event(
    shop: World, state: SimulatorState, is_inbound: bool
) -> None:
    later = NOW + timedelta(hours=1)
    pots = [{"name": "Pot", "price": 7, "quantity": 2}]
    state.add_order(source_id=2, buyer=1, products=pots, at=later, announce=False)
    await hear(shop, state, 2)
    [event] = await events(shop)
    assert (event["entity_id"], event["payload"]["grand_total"]) == ("2", "14.00")
    assert ("changed" in event["payload"]) is is_inbound
    assert await shop.value("select count(*) from vms.orders") == (2 if is_inbound else 0)


async def test_a_payment_that_a_webhook_told_is_one_event_of_the_order_and_one_of_its_own(
    shop: World, state: SimulatorState
) -> None:
    state.add_payment(1, 100, at=NOW + timedelta(hours=1), announce=False)
    await hear(shop, state, 1, "order.change_payment_status")
    told = await events(shop)
    assert sorted(event["kind"] for event in told) == ["order", "payment"]
    [payment] = [event for event in told if event["kind"] == "payment"]
    assert payment["payload"]["amount"] == "100.00"


async def test_what_a_pull_finds_is_one_event_even_if_vms_has_no_place_for_it(
    shop: World, state: SimulatorState, is_inbound: bool
) -> None:
    state.update_order(1, manager_comment="by noon")
    await settle(shop)
    [event] = await events(shop)
    assert event["payload"].get("changed") == (["comment"] if is_inbound else None)
    state.update_order(1, promocode="SPRING")
    await settle(shop)
    [event] = await events(shop)
    assert (event["kind"], event["entity_id"], "changed" in event["payload"]) == ("order", "1", False)


async def test_a_change_that_vms_refuses_is_told_once_too(shop: World, state: SimulatorState, is_inbound: bool) -> None:
    state.add_order(
        source_id=2, buyer=1, products=[{"name": "Pot", "sku": "NOPE", "price": 7, "quantity": 2}], announce=False
    )
    await drain_pull_and_refuse(shop)
    [event] = [event for event in await events(shop) if event["kind"] == "order"]
    assert (event["entity_id"], "changed" in event["payload"]) == ("2", False)
    assert await shop.value("select count(*) from sync.dead_letters where source = 'vms'") == int(is_inbound)


async def drain_pull_and_refuse(world: World) -> None:
    """A pull that has ended a while ago, so that nobody waits for its articles any more."""
    await pull_project(world.pool, world.keyring, "print")
    await world.execute("update sync.runs set finished_at = finished_at - interval '1 minute'")
    await inbound.apply_due(world.pool, lookup=registry.get)
