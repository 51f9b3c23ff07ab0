"""The flows against the simulated KeyCRM over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.errors import ConfigError, RetryError
from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.keycrm.simulator_faults import Throttle
from connectors.protocol import Window
from sync import gateway, relay
from sync.normalise import drain
from sync.pull import pull_project
from sync.replay import replay_project
from sync.requests import run_due
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio

KEY = "right-key-0123456789"
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def state() -> SimulatorState:
    state = SimulatorState(api_key=KEY, clock=lambda: START + timedelta(days=2), rate_limit=0)
    state.add_source("Euro shop", currency_code="EUR")
    return state


@pytest.fixture
def base_url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield f"{url}/v1"


async def add_shop(world: World, base_url: str, **values: Any) -> None:
    await world.add_project("print", crm="keycrm", base_url=base_url, key=KEY, **values)


def fill(state: SimulatorState, orders: int) -> None:
    for number in range(orders):
        at = START + timedelta(minutes=number)
        buyer = state.add_buyer(f"Олена {number} 🙂", phones=[f"+38050{number:07}"], at=at)
        order = state.add_order(
            buyer=buyer,
            at=at,
            products=[{"name": "Друк", "sku": "print", "quantity": 2, "price": 100.5}],
            payments=[{"amount": 50, "status": "paid"}],
            marketing={"utm_source": "google"},
            announce=False,
        )
        if number % 3 == 0:
            state.change_status(order.id, 2, at=at + timedelta(hours=1), announce=False)


def webhook(state: SimulatorState, order_id: int) -> str:
    fields = state.orders.rows[order_id].fields
    names = ("id", "status_id", "status_group_id", "status_changed_at", "updated_at", "created_at", "grand_total")
    context = {name: fields[name] for name in (*names, "source_id", "client_id")}
    return json.dumps({"event": "order.change_order_status", "context": context}, default=str)


async def test_everything_of_the_account_is_in_core_once_however_often_it_is_pulled(
    world: World, state: SimulatorState, base_url: str
) -> None:
    fill(state, 130)
    await add_shop(world, base_url)
    await pull_project(world.pool, world.keyring, "print")
    before, core = await world.counts(), await world.snapshot("print")
    assert before["core.orders"] == before["core.customers"] == before["core.order_items"] == 130
    assert before["core.payments"] == before["core.order_marketing"] == 130
    assert before["core.order_status_events"] == 130
    assert before["core.statuses"] > 3
    orders = core["orders"]
    assert {order["has_items"] for order in orders} == {True}
    assert {order["status_id"] for order in orders} == {"1", "2"}
    assert not await world.rows("select * from sync.dead_letters")

    state.requests.clear()
    for full in (False, True):
        result = await pull_project(world.pool, world.keyring, "print", full=full)
        assert result.applied.rows == 0
    assert await world.counts() == before
    assert await world.snapshot("print") == core

    await replay_project(world.pool, "print")
    assert await world.snapshot("print") == core


async def test_a_webhook_then_its_reread_make_one_event_and_the_items(
    world: World, state: SimulatorState, base_url: str
) -> None:
    fill(state, 3)
    await add_shop(world, base_url)
    await pull_project(world.pool, world.keyring, "print")
    state.change_status(2, 3, at=START + timedelta(hours=5), announce=False)
    body = webhook(state, 2)
    await world.webhook(body, body, project_id="print", crm="keycrm")
    assert (await drain(world.pool, "print")).events == 1
    [result] = await run_due(world.pool, world.keyring, single_only=True)
    assert (result.state, result.stream, result.crm_id) == ("done", "orders", "2")
    rows = await world.rows(
        "select status_id, source from core.order_status_events where order_id = '2' order by status_changed_at"
    )
    assert [(row["status_id"], row["source"]) for row in rows] == [("1", "pull"), ("3", "webhook")]
    await pull_project(world.pool, world.keyring, "print")
    assert await world.value("select count(*) from core.order_status_events where order_id = '2'") == 2


async def test_a_change_in_the_second_of_the_last_reading_is_read_too(
    world: World, state: SimulatorState, base_url: str
) -> None:
    fill(state, 1)
    await add_shop(world, base_url)
    await pull_project(world.pool, world.keyring, "print")
    # By the vendor's clock, which is ahead of ours, so that no pause of the test makes the second a past one.
    second = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    state.change_status(1, 3, at=second, announce=False)
    await world.webhook(webhook(state, 1), project_id="print", crm="keycrm")
    await drain(world.pool, "print")
    assert [result.state for result in await run_due(world.pool, world.keyring, single_only=True)] == ["done"]

    state.set_lines(1, [{"name": "Друк", "sku": "print", "quantity": 7, "price": 100.5}], at=second)
    await world.webhook(webhook(state, 1), project_id="print", crm="keycrm")
    await drain(world.pool, "print")
    assert [result.state for result in await run_due(world.pool, world.keyring, single_only=True)] == ["done"]
    assert await world.value("select quantity from core.order_items") == 7
    assert await run_due(world.pool, world.keyring, single_only=True) == []  # one reading for each that was told of


async def test_an_order_deleted_at_the_crm_is_marked(world: World, state: SimulatorState, base_url: str) -> None:
    fill(state, 2)
    await add_shop(world, base_url)
    await pull_project(world.pool, world.keyring, "print")
    state.change_status(1, 5, at=START + timedelta(hours=6), announce=False)
    body = webhook(state, 1)
    state.delete_order(1)
    await world.webhook(body, project_id="print", crm="keycrm")
    await drain(world.pool)
    [result] = await run_due(world.pool, world.keyring)
    assert result.state == "done"
    rows = await world.rows("select order_id, is_deleted from core.orders order by order_id")
    assert [(row["order_id"], row["is_deleted"]) for row in rows] == [("1", True), ("2", False)]


async def test_a_pull_gets_through_troubles_and_resumes_after_an_outage(
    world: World, state: SimulatorState, base_url: str
) -> None:
    fill(state, 130)
    await add_shop(world, base_url, sync={"retry_attempts": 0})
    state.faults.add("unavailable", "/order", skip=1, times=None)
    with pytest.raises(RetryError):
        await pull_project(world.pool, world.keyring, "print", streams=["orders"])
    landed = await world.value("select count(*) from raw.api_records")
    assert 0 < landed < 130
    state.faults.clear()
    await pull_project(world.pool, world.keyring, "print", streams=["orders"])
    assert await world.value("select count(*) from core.orders") == 130
    assert await world.value("select count(*) from raw.api_records") == 130


async def test_a_refused_key_disables_that_project_alone(world: World, state: SimulatorState, base_url: str) -> None:
    fill(state, 2)
    await add_shop(world, base_url)
    await world.add_project("wrong", crm="keycrm", base_url=base_url, key="wrong-key-0123456789")
    with pytest.raises(ConfigError):
        await pull_project(world.pool, world.keyring, "wrong")
    await pull_project(world.pool, world.keyring, "print")
    enabled = await world.rows("select project_id, is_enabled from config.projects where crm = 'keycrm' order by 1")
    assert [row["is_enabled"] for row in enabled] == [True, False]
    messages = await world.rows(
        "select message from sync.integration_logs union all select error_message from sync.runs"
    )
    assert not any("wrong-key" in (row["message"] or "") for row in messages)


async def test_the_accounts_limit_is_kept_by_two_pulls_at_once(
    base_url: str, state: SimulatorState, world: World
) -> None:
    fill(state, 60)
    limit = {"rate_limit": {"requests": 6, "per_seconds": 1.2}}
    state.throttle = Throttle(6, 1.0)  # a little laxer: requests do not leave in the very instant of their slot
    await add_shop(world, base_url, options=limit, sync={"batch_size": 10})
    await world.add_project("same", crm="keycrm", base_url=base_url, key=KEY, options=limit, sync={"batch_size": 10})
    await asyncio.gather(
        pull_project(world.pool, world.keyring, "print", streams=["orders"]),
        pull_project(world.pool, world.keyring, "same", streams=["orders"]),
    )
    assert await world.value("select count(*) from core.orders") == 120
    assert state.requests.count(status=429) == 0
    assert await world.value("select count(*) from sync.rate_limits") == 1


async def test_a_window_fills_its_day_alone(world: World, state: SimulatorState, base_url: str) -> None:
    for day in range(4):
        state.add_order(at=START + timedelta(days=day), announce=False)
    await add_shop(world, base_url)
    window = Window(START + timedelta(days=1, hours=-1), START + timedelta(days=2, hours=-1))
    await pull_project(world.pool, world.keyring, "print", streams=["orders"], window=window)
    assert await world.rows("select order_id from core.orders") == [{"order_id": "2"}]
    assert await world.rows("select * from sync.cursors") == []


async def test_the_relay_brings_a_webhooks_order_whole_into_core(
    world: World, state: SimulatorState, base_url: str
) -> None:
    fill(state, 1)
    await add_shop(world, base_url)
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(world.url, world.keyring, stop=stop))
    try:
        await world.webhook(webhook(state, 1), project_id="print", crm="keycrm")
        async with asyncio.timeout(20):
            while not await world.value("select count(*) from core.order_items where project_id = 'print'"):
                assert not task.done()
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)
    assert await world.value("select has_items from core.orders where project_id = 'print'")


async def test_health_and_registration_answer_in_sentences(world: World, state: SimulatorState, base_url: str) -> None:
    await add_shop(world, base_url)
    assert (await gateway.check_health(world.pool, world.keyring, "print")).ok
    await world.add_project("wrong", crm="keycrm", base_url=base_url, key="wrong-key-0123456789")
    health = await gateway.check_health(world.pool, world.keyring, "wrong")
    assert not health.ok
    assert "wrong-key" not in health.message
    assert not (await gateway.check_health(world.pool, world.keyring, "nobody")).ok
    sentence = await gateway.register_webhook(world.pool, world.keyring, "print", "https://elt.example.com/")
    assert "https://elt.example.com/webhooks/keycrm/print" in sentence


async def test_webhook_settings_of_a_project(world: World) -> None:
    await world.add_project("token", webhook={"auth": "token", "header": "X-Own", "ip_allow": ["10.0.0.0/8"]})
    async with world.pool.connection() as connection:
        auth = await gateway.webhook_auth(connection, world.keyring, "token")
        assert (auth.scheme, auth.secret, auth.header, auth.ip_allow) == ("token", None, "x-own", ("10.0.0.0/8",))
        assert (await gateway.webhook_auth(connection, world.keyring, "shop")).scheme == "unset"
        with pytest.raises(ConfigError):
            await gateway.webhook_auth(connection, world.keyring, "nobody")
