"""The flows against the simulated RetailCRM over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.protocol import Window
from connectors.retailcrm.simulator import SimulatorState, create_app
from database.repositories import credentials
from sync.normalise import drain
from sync.pull import pull_project
from sync.reconcile import reconcile_project
from sync.replay import replay_project
from sync.requests import run_due
from tests.conformance.suite import Clock
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio

KEY = "right-key-0123456789"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def state(clock: Clock) -> SimulatorState:
    return SimulatorState(api_key=KEY, clock=clock, rate_limit=0, timezone="Asia/Almaty", currency="KZT")


@pytest.fixture
def base_url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield url


async def add_shop(world: World, base_url: str, **values: Any) -> None:
    await world.add_project(
        "rail", crm="retailcrm", base_url=base_url, timezone="Europe/Moscow", region="RU", key="", **values
    )
    async with world.pool.connection() as connection, connection.transaction():
        await credentials.store(connection, world.keyring, "rail", {"api_key": KEY})


async def pull(world: World, **options: Any) -> None:
    await pull_project(world.pool, world.keyring, "rail", **options)


async def statuses(world: World) -> list[tuple[str, str]]:
    rows = await world.rows(
        "select status_id, source from core.order_status_events where project_id = 'rail' order by status_changed_at"
    )
    return [(row["status_id"], row["source"]) for row in rows]


async def test_an_orders_whole_way_is_in_core_in_the_accounts_own_zone(
    world: World, state: SimulatorState, clock: Clock, base_url: str
) -> None:
    customer = state.add_customer("Анна", phones=["8 916 123-45-67"], email="A@example.com")
    order = state.add_order(
        customer=customer,
        items=[{"name": "Чашка", "initialPrice": 100, "quantity": 3}],
        createdAt="2026-03-02 14:00:00",
    )
    for status in ("client-confirmed", "complete"):
        clock.advance(hours=1)
        state.change_status(order["id"], status)
    state.add_payment(order["id"], 300)
    clock.advance(hours=1)
    await add_shop(world, base_url)
    await pull(world)
    assert await statuses(world) == [("new", "history"), ("client-confirmed", "history"), ("complete", "history")]
    (sale,) = await world.rows("select * from core.transactions")
    assert (sale["external_id"], sale["currency"], str(sale["amount"])) == ("RETAILCRM-1", "KZT", "300.00")
    assert sale["occurred_at"] == START + timedelta(hours=2)
    assert (sale["phone_e164"], sale["email"]) == ("+79161234567", "a@example.com")
    (row,) = await world.rows("select * from core.orders")
    assert row["ordered_at"] == START
    (person,) = await world.rows("select * from core.customers")
    assert (person["phone_e164"], person["email"]) == ("+79161234567", "a@example.com")


async def test_a_status_that_an_order_told_before_its_history_did_is_one_event(
    world: World, state: SimulatorState, clock: Clock, base_url: str
) -> None:
    order = state.add_order(externalId="A-9")
    await add_shop(world, base_url)
    await pull(world)
    clock.advance(hours=1)
    state.change_status(order["id"], "assembling")
    await world.webhook('{"order_id":"1","status":"assembling"}', project_id="rail", crm="retailcrm")
    await drain(world.pool, "rail")
    await run_due(world.pool, world.keyring)
    assert await statuses(world) == [("new", "history"), ("assembling", "reread")]
    clock.advance(hours=1)
    await pull(world)
    assert await statuses(world) == [("new", "history"), ("assembling", "reread")]
    before = await world.snapshot("rail")
    await replay_project(world.pool, "rail")
    after = await world.snapshot("rail")
    assert [event["status_id"] for event in after["order_status_events"]] == [
        event["status_id"] for event in before["order_status_events"]
    ]
    assert after["transactions"] == before["transactions"]


async def test_a_webhook_by_the_shops_number_reads_the_order_of_it(
    world: World, state: SimulatorState, base_url: str
) -> None:
    state.add_order(externalId="A-9")
    await add_shop(world, base_url)
    await world.webhook('{"external_id":"A-9"}', project_id="rail", crm="retailcrm")
    await drain(world.pool, "rail")
    await run_due(world.pool, world.keyring)
    assert await world.value("select order_id from core.orders where project_id = 'rail'") == "1"


async def test_a_paid_order_that_is_cancelled_or_deleted_turns_its_sale(
    world: World, state: SimulatorState, clock: Clock, base_url: str
) -> None:
    one = state.add_order(items=[{"name": "Чашка", "initialPrice": 100, "quantity": 1}])
    state.add_payment(one["id"], 100)
    two = state.add_order(items=[{"name": "Чашка", "initialPrice": 100, "quantity": 1}])
    state.add_payment(two["id"], 100)
    await add_shop(world, base_url)
    await pull(world)
    clock.advance(hours=1)
    state.delete_order(one["id"])
    state.change_status(two["id"], "no-call")
    await pull(world)
    rows = await world.rows("select external_id, state from core.transactions order by external_id")
    assert [(row["external_id"], row["state"]) for row in rows] == [
        ("RETAILCRM-1", "reversed"),
        ("RETAILCRM-2", "reversed"),
    ]
    assert await world.value("select is_deleted from core.orders where order_id = '1'")


async def test_what_lies_before_the_first_pull_is_filled_in_from_the_history(
    world: World, state: SimulatorState, clock: Clock, base_url: str
) -> None:
    order = state.add_order()
    clock.advance(hours=2)
    state.change_status(order["id"], "assembling")
    await add_shop(world, base_url, sync={"since": "2026-03-02T10:00:00+00:00"})
    await pull(world)
    assert await statuses(world) == [("assembling", "history")]
    await pull(world, window=Window(START - timedelta(hours=9), START + timedelta(hours=1)), streams=["order_history"])
    assert await statuses(world) == [("new", "history"), ("assembling", "history")]


async def test_faults_at_every_twentieth_call_still_end_with_exactly_the_right_rows(
    world: World, state: SimulatorState, clock: Clock, base_url: str
) -> None:
    customer = state.add_customer("Анна", phones=["+79161234567"])
    for number in range(300):
        order = state.add_order(customer=customer, items=[{"name": "Чашка", "initialPrice": number, "quantity": 1}])
        state.change_status(order["id"], "assembling", at=clock.now + timedelta(seconds=30))
        clock.advance(minutes=1)
    clock.advance(hours=1)
    for kind in ("too_many", "server_error", "truncated", "drop"):
        state.faults.add(kind, times=None, probability=0.0125, seconds=0)
    state.faults.add("duplicate_page", "/orders/history", times=2)
    await add_shop(world, base_url, sync={"retry_attempts": 5})
    await pull(world)
    assert await world.value("select count(*) from core.orders where project_id = 'rail'") == 300
    assert await world.value("select count(*) from core.order_status_events where project_id = 'rail'") == 600
    assert await world.value("select count(*) from sync.dead_letters") == 0


async def test_a_project_without_orders_reads_no_history_of_them(
    world: World, state: SimulatorState, base_url: str
) -> None:
    state.add_order()
    await add_shop(world, base_url, sync={"orders": False})
    await pull(world)
    assert state.requests.count(below="/orders") == 0
    assert state.requests.count(path="/customers/history") == 1


async def test_the_nightly_comparison_finds_what_the_history_never_told(
    world: World, state: SimulatorState, clock: Clock, base_url: str
) -> None:
    for number in range(3):
        state.add_order(externalId=f"A-{number}")
    await add_shop(world, base_url)
    await pull(world)
    clock.advance(hours=1)
    del state.orders[1]
    state.orders[9] = {**state.orders[2], "id": 9, "externalId": "A-9"}
    orders, customers = await reconcile_project(world.pool, world.keyring, "rail")
    assert (orders.stream, orders.listed, orders.missing, orders.gone, orders.error) == ("orders", 3, 1, 1, None)
    assert (customers.stream, customers.listed, customers.error) == ("customers", 0, None)
    await run_due(world.pool, world.keyring)
    rows = await world.rows("select order_id, is_deleted from core.orders where project_id = 'rail' order by order_id")
    assert [(row["order_id"], row["is_deleted"]) for row in rows] == [
        ("1", True),
        ("2", False),
        ("3", False),
        ("9", False),
    ]
