"""The flows against the simulated iiko over real HTTP: from orders to sales in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.iiko.simulator import SimulatorState, create_app
from database.repositories import credentials
from database.repositories.credentials import WEBHOOK_SECRET
from sync import gateway
from sync.normalise import drain
from sync.pull import pull_project
from sync.requests import run_due
from tests.conformance.suite import Clock
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio
LOGIN = "api-login-0123456789"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def state(clock: Clock) -> SimulatorState:
    state = SimulatorState(api_login=LOGIN, password="password-0123456789", clock=clock)
    state.add_organization("Суши", zone="Asia/Vladivostok", currency="KZT")
    return state


@pytest.fixture
def base_url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield url


async def add_cafe(world: World, base_url: str, secrets: dict[str, str], **values: Any) -> None:
    await world.add_project("cafe", crm="iiko", base_url=base_url, region="RU", key="", **values)
    async with world.pool.connection() as connection:
        await credentials.store(connection, world.keyring, "cafe", secrets)


async def pull(world: World) -> None:
    await pull_project(world.pool, world.keyring, "cafe")


async def sales(world: World) -> list[dict[str, Any]]:
    return await world.rows(
        "select external_id, occurred_at, amount, currency, phone_e164, state from core.transactions"
        " where project_id = 'cafe' order by external_id"
    )


@pytest.mark.parametrize("dialect", ["cloud", "spec"])
async def test_closed_orders_become_sales_and_are_undone(
    world: World, state: SimulatorState, clock: Clock, base_url: str, dialect: str
) -> None:
    secrets = {"api_login": LOGIN} if dialect == "cloud" else {"login": LOGIN, "password": "password-0123456789"}
    await add_cafe(world, base_url, secrets, options={"dialect": dialect})
    guest = state.add_guest("Анна", phone="+79990001122")
    closed_at = NOW - timedelta(hours=2)
    order = state.add_order(
        [{"name": "Суп", "price": 199.95, "amount": 2}], guest_id=guest, at=closed_at, status="Closed"
    )
    state.add_order(phone="+79995554433", at=closed_at)
    await pull(world)
    expected = {
        "external_id": f"IIKO-{order.order_id}",
        "occurred_at": closed_at,
        "amount": Decimal("399.90"),
        "currency": "KZT",
        "phone_e164": "+79990001122",
        "state": "active",
    }
    assert await sales(world) == [expected]
    assert await world.value("select count(*) from sync.dead_letters where project_id = 'cafe'") == 0
    assert await world.value("select count(*) from core.orders where project_id = 'cafe'") == 0
    clock.advance(minutes=5)
    state.set_status(order.order_id, "Cancelled")
    await pull(world)
    assert await sales(world) == [{**expected, "state": "reversed"}]
    clock.advance(minutes=5)
    state.set_status(order.order_id, "Closed", at=closed_at)
    order.changed_at = clock.now
    await pull(world)
    assert await sales(world) == [expected]


async def test_a_token_outlives_the_process_and_is_kept_out_of_sight(
    world: World, state: SimulatorState, clock: Clock, base_url: str
) -> None:
    await add_cafe(world, base_url, {"api_login": LOGIN})
    await pull(world)
    await pull(world)
    assert state.tokens.issued == 1
    clock.advance(minutes=61)
    await pull(world)
    assert state.tokens.issued == 2
    assert await world.value("select count(*) from sync.tokens where project_id = 'cafe'") == 1


async def test_a_tables_order_comes_by_webhook_from_the_address_that_was_registered(
    world: World, state: SimulatorState, base_url: str
) -> None:
    await add_cafe(world, base_url, {"api_login": LOGIN, WEBHOOK_SECRET: "wh00k-secret"}, webhook={"auth": "bearer"})
    said = await gateway.register_webhook(world.pool, world.keyring, "cafe", "https://elt.example.com")
    assert said == "iiko sends the orders of Суши to https://elt.example.com/webhooks/iiko/cafe"
    [target] = state.webhooks.targets.values()
    assert (target.url, target.token) == ("https://elt.example.com/webhooks/iiko/cafe", "wh00k-secret")
    await pull(world)  # tells the terminal's zone
    order = state.add_order(is_table=True, phone="+79990001122", status="Closed")
    body = msgspec.json.encode(state.webhooks.deliveries[-1].events).decode()
    await world.webhook(body, body, project_id="cafe", crm="iiko")
    await drain(world.pool, "cafe")
    [sale] = await sales(world)
    assert (sale["external_id"], sale["occurred_at"]) == (f"IIKO-{order.order_id}", NOW)
    results = await run_due(world.pool, world.keyring)
    assert [(result.crm_id, result.state) for result in results] == [(order.order_id, "done")]
    assert len(await sales(world)) == 1
