"""YCLIENTS from its API to core, on a real PostgreSQL: sales, reversals, zones, an API that fails now and then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import RetryError
from connectors.yclients.simulator import PREFIX, SimulatorState, create_app
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
TOKENS = {"partner_token": "partner-0123456789", "user_token": "user-0123456789"}
START = datetime(2026, 3, 2, 4, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(START + timedelta(days=3))


@pytest.fixture
def state(clock: Clock) -> SimulatorState:
    # The project below is in another zone: what the company tells goes before it.
    return SimulatorState(timezone="Asia/Novosibirsk", clock=clock, per_second=0, per_minute=0, **TOKENS)


@pytest.fixture
def base_url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield f"{url}{PREFIX}"


async def add_salon(world: World, base_url: str, **values: Any) -> None:
    given = {"timezone": "Europe/Moscow", "region": "RU", "currency": "KZT", "options": {"company_id": 77}, **values}
    await world.add_project("salon", crm="yclients", base_url=base_url, key="", **given)
    async with world.pool.connection() as connection, connection.transaction():
        await credentials.store(connection, world.keyring, "salon", TOKENS)


async def pull(world: World) -> None:
    await pull_project(world.pool, world.keyring, "salon")


def visit(state: SimulatorState, number: int, *, is_paid: bool = True) -> int:
    service = next(iter(state.services), None) or state.add_service("Стрижка", Decimal("1200.50"))
    start = START + timedelta(minutes=number)
    client = state.add_client(f"Клиент {number}", phone=f"+7999{number:07}", at=start)
    record = state.add_record([service], client_id=client.id, start=start, at=start - timedelta(days=1))
    if is_paid:
        state.pay(record.id, at=start + timedelta(hours=1))
    return record.id


async def sales(world: World) -> dict[str, str]:
    rows = await world.rows("select external_id, state from core.transactions where project_id = 'salon'")
    return {row["external_id"]: row["state"] for row in rows}


async def test_paid_visits_become_sales_with_the_companys_zone_and_currency(
    world: World, state: SimulatorState, base_url: str
) -> None:
    paid, unpaid = visit(state, 1), visit(state, 2, is_paid=False)
    await add_salon(world, base_url)
    await pull(world)
    assert await sales(world) == {f"YCLIENTS-{paid}": "active"}
    [sale] = await world.rows("select * from core.transactions")
    assert sale["occurred_at"] == START + timedelta(minutes=1)
    assert (sale["amount"], sale["currency"], sale["crm"]) == (Decimal("1200.50"), "RUB", "yclients")
    assert (sale["phone_e164"], sale["description"]) == ("+79990000001", "Стрижка")
    assert await world.value("select count(*) from core.customers where project_id = 'salon'") == 2
    assert await world.value("select count(*) from core.orders where project_id = 'salon'") == 0
    assert await world.value("select count(*) from sync.dead_letters") == 0
    assert unpaid


async def test_what_is_unpaid_or_deleted_later_is_reversed_and_replay_ends_the_same(
    world: World, state: SimulatorState, base_url: str, clock: Clock
) -> None:
    refunded, deleted, kept = (visit(state, number) for number in range(3))
    await add_salon(world, base_url)
    await pull(world)
    clock.advance(hours=1)
    state.refund(refunded)
    state.delete_record(deleted)
    await pull(world)
    expected = {f"YCLIENTS-{refunded}": "reversed", f"YCLIENTS-{deleted}": "reversed", f"YCLIENTS-{kept}": "active"}
    assert await sales(world) == expected
    before = await world.snapshot("salon")
    await replay_project(world.pool, "salon")
    assert await world.snapshot("salon") == before


async def test_webhooks_are_applied_before_the_next_pull_and_read_again(
    world: World, state: SimulatorState, base_url: str, clock: Clock
) -> None:
    await add_salon(world, base_url)
    await pull(world)
    state.set_hooks({"urls": ["http://127.0.0.1:1/never"], "active": 1, "record": 1, "finances_operation": 1})
    record = visit(state, 1)
    bodies = [json.dumps(one.payload, ensure_ascii=False) for one in state.webhooks.deliveries()]
    await world.webhook(*reversed(bodies), project_id="salon", crm="yclients")
    await drain(world.pool, "salon")
    assert await sales(world) == {f"YCLIENTS-{record}": "active"}
    clock.advance(minutes=1)
    state.delete_record(record)
    await world.webhook(json.dumps(state.webhooks.deliveries()[-1].payload), project_id="salon", crm="yclients")
    await drain(world.pool, "salon")
    assert await sales(world) == {f"YCLIENTS-{record}": "reversed"}
    while await run_due(world.pool, world.keyring):
        assert True
    await drain(world.pool, "salon")
    assert await sales(world) == {f"YCLIENTS-{record}": "reversed"}
    assert await world.value("select count(*) from sync.dead_letters") == 0


async def test_a_record_that_vanished_is_found_at_night_and_its_sale_reversed(
    world: World, state: SimulatorState, base_url: str, clock: Clock
) -> None:
    purged, kept = visit(state, 1), visit(state, 2)
    await add_salon(world, base_url)
    await pull(world)
    clock.advance(days=2)
    state.purge_record(purged)
    await pull(world)
    assert await sales(world) == {f"YCLIENTS-{purged}": "active", f"YCLIENTS-{kept}": "active"}
    results = await reconcile_project(world.pool, world.keyring, "salon")
    assert [(one.stream, one.gone, one.error) for one in results] == [("records", 1, None), ("customers", 0, None)]
    while await run_due(world.pool, world.keyring):
        assert True
    await drain(world.pool, "salon")
    assert await sales(world) == {f"YCLIENTS-{purged}": "reversed", f"YCLIENTS-{kept}": "active"}


async def test_an_api_that_fails_at_one_call_in_twenty_still_gives_exactly_the_right_rows(
    world: World, state: SimulatorState, base_url: str
) -> None:
    expected = {f"YCLIENTS-{visit(state, number)}": "active" for number in range(260)}
    limit = {"requests": 1000, "per_seconds": 1}
    await add_salon(world, base_url, sync={"batch_size": 20}, options={"company_id": 77, "rate_limit": limit})
    for kind in ("too_many", "server_error", "drop", "truncated", "duplicate_page"):
        state.faults.add(kind, "/", times=None, probability=0.01, seconds=0.01)
    state.limit_strikes = 1
    failed = 0
    for _ in range(3):
        try:
            await pull(world)
        except RetryError:
            failed += 1
    assert failed == 0
    assert sum(fault.strikes for fault in state.faults.active()) >= 3
    assert await sales(world) == expected
    assert await world.value("select count(*) from core.customers where project_id = 'salon'") == 260
