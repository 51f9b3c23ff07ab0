"""1C's sales on their way to core, against the simulated base over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.onec.simulator import SimulatorState, create_app
from database.repositories import credentials
from sync import gateway
from sync.pull import pull_project
from sync.reconcile import reconcile_project
from sync.requests import run_due
from tests.conformance.test_onec import ODATA_OPTIONS
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio
PASSWORD = "right-password-0123456789"
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def state() -> SimulatorState:
    return SimulatorState(password=PASSWORD, client_secret=PASSWORD, clock=lambda: START + timedelta(days=1))


@pytest.fixture
def address(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield url


async def test_a_document_is_one_transaction_and_unposted_or_gone_a_reversed_one(
    world: World, state: SimulatorState, address: str
) -> None:
    tea = state.add_item("Чай")
    customer = state.add_customer("Иванов", "8 (999) 123-45-67")
    keys = [state.add_document([(tea, 1, 1250.5)], customer=customer, at=START) for _ in range(3)]
    fields = {**ODATA_OPTIONS["fields"], "phone": "Контрагент.КонтактнаяИнформация.НомерТелефона"}  # type: ignore[dict-item]
    await world.add_project(
        "base",
        crm="onec",
        base_url=f"{address}/trade",
        key="",
        timezone="Europe/Moscow",
        region="RU",
        currency="RUB",
        options={**ODATA_OPTIONS, "fields": fields},
    )
    async with world.pool.connection() as connection:
        secrets = {"username": state.username, "password": PASSWORD}
        await credentials.store(connection, world.keyring, "base", secrets)
    await pull_project(world.pool, world.keyring, "base")
    state.unpost(keys[1])
    for _ in range(2):
        await pull_project(world.pool, world.keyring, "base")
    rows = await world.rows("select * from core.transactions where project_id = 'base' order by external_id")
    assert {row["external_id"]: row["state"] for row in rows} == {
        f"1C-{key}": "reversed" if key == keys[1] else "active" for key in keys
    }
    assert {(row["occurred_at"], row["amount"], row["currency"], row["phone_e164"]) for row in rows} == {
        (START, Decimal("1250.50"), "RUB", "+79991234567")
    }
    assert {(row["description"], row["customer_id"]) for row in rows} == {("Чай", customer)}
    state.delete(keys[2])
    await reconcile_project(world.pool, world.keyring, "base")
    await run_due(world.pool, world.keyring)
    query = "select external_id from core.transactions where state = 'active'"
    assert [row["external_id"] for row in await world.rows(query)] == [f"1C-{keys[0]}"]
    assert not await world.rows("select * from sync.dead_letters")
    assert (await gateway.check_health(world.pool, world.keyring, "base")).ok


async def test_the_token_of_a_service_is_fetched_once_for_all_pulls(
    world: World, state: SimulatorState, address: str
) -> None:
    state.add_document([(state.add_item("Чай"), 1, 1250.5)], phone="89991234567", at=START)
    await world.add_project("base", crm="onec", base_url=f"{address}/trade/hs", key="", timezone="Europe/Moscow")
    async with world.pool.connection() as connection:
        secrets = {"token_url": f"{address}/oauth/token", "client_id": "crm-elt", "client_secret": PASSWORD}
        await credentials.store(connection, world.keyring, "base", secrets)
    for _ in range(2):
        await pull_project(world.pool, world.keyring, "base")
    assert state.requests.count("POST", "/oauth/token") == 1
    [row] = await world.rows("select external_id, occurred_at, amount from core.transactions")
    assert row == {"external_id": "1C-1", "occurred_at": START, "amount": Decimal("1250.50")}
