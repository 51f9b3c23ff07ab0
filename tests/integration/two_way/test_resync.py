"""A full resync: everything is pulled, everything is compared, and a kill costs nothing but time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from sides import STATUS_MAP, add_customer, woken

from connectors.errors import ConfigError, RetryError
from database.encryption import Keyring
from database.environment import Environment
from database.repositories import resyncs
from sync.two_way import comparison, resync
from sync.two_way.resync import ResyncProgress, ResyncResult
from tests.support.resync_process import ORDERS, toy
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    await world.add_project(status_map=STATUS_MAP, vms={"inbound": True}, sync={"batch_size": 10})
    monkeypatch.setattr(resync, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(resync, "RETRY_SECONDS", (0.01, 0.01))
    return world


async def ask(world: World) -> int:
    async with world.pool.connection() as connection:
        return await resyncs.enqueue(connection, "shop", "anna")


async def run(world: World, **arguments: Any) -> ResyncResult | None:
    return await resync.run_next(world.pool, world.keyring, lookup=world.lookup, **arguments)


async def row(world: World) -> dict[str, Any]:
    (found,) = await world.rows("select * from sync.resyncs")
    return found


async def test_everything_is_pulled_and_each_side_is_given_what_it_lacks(shop: World) -> None:
    shop.crm.put("orders", "501", status="1", updated_at=minute(1))
    shop.crm.put("customers", "C-9", name="Ihor", updated_at=minute(1))
    changed = await add_customer(shop, "C-1", vms={"note": "new here"})
    lonely = await shop.value("insert into vms.customers (project_id) values ('shop') returning id")
    await shop.execute("delete from sync.outbox")
    resync_id = await ask(shop)
    assert await ask(shop) == resync_id  # one at a time
    seen: list[ResyncProgress] = []
    result = await run(shop, progress=seen.append)
    assert result is not None
    assert (result.state, result.resync_id) == ("done", resync_id)
    assert result.found["customer"] == {
        "compared": 1, "differing": 1, "healed": 1, "disputed": 0, "missing_at_crm": 1, "missing_in_vms": 1,
    }  # fmt: skip
    assert result.found["order"]["missing_in_vms"] == 1
    out, into = await woken(shop)
    assert sorted(out) == [("customer", changed), ("customer", lonely)]
    assert into == [("customer", "C-9"), ("order", "501")]
    stored = await row(shop)
    assert (stored["state"], stored["stage"], stored["requested_by"]) == ("done", "end", "anna")
    assert "customer: 1 compared, 1 differed" in stored["message"]
    assert stored["finished_at"] is not None
    assert {state.stage for state in seen} >= {"pull", "customer", "order"}
    assert await run(shop) is None
    assert await ask(shop) != resync_id


async def test_a_check_reads_nothing_and_sends_nothing_that_one_side_lacks(shop: World) -> None:
    shop.crm.put("customers", "C-9", name="Ihor", updated_at=minute(1))
    changed = await add_customer(shop, "C-1", vms={"note": "new here"})
    await shop.value("insert into vms.customers (project_id) values ('shop') returning id")
    await shop.execute("delete from sync.outbox")
    async with shop.pool.connection() as connection:
        check_id = await resyncs.enqueue(connection, "shop", "anna", "check")
        assert await resyncs.enqueue(connection, "shop", "ihor") == check_id  # one at a time, of either kind
    result = await run(shop)
    assert result is not None
    assert (result.state, result.found["customer"]) == (
        "done",
        {"compared": 1, "differing": 1, "healed": 1, "disputed": 0, "missing_at_crm": 1, "missing_in_vms": 0},
    )
    assert (len(shop.crm.pages), await woken(shop)) == (0, ([("customer", changed)], []))
    stored = await row(shop)
    assert (stored["kind"], stored["state"], stored["position"]["found"]) == ("check", "done", result.found)
    assert await shop.value("select count(*) from sync.consistency_checks where finished_at is not null") == 4


async def test_one_that_is_cancelled_stops_and_another_may_begin(shop: World) -> None:
    for number in range(30):
        shop.crm.put("orders", str(number), status="1", updated_at=minute(number))
    reached, release = asyncio.Event(), asyncio.Event()

    async def hold(stream: str, page: int) -> None:
        if stream == "orders" and page == 1:
            reached.set()
            await release.wait()

    shop.crm.before_page = hold
    await ask(shop)
    running = asyncio.create_task(run(shop))
    await asyncio.wait_for(reached.wait(), 20)
    async with shop.pool.connection() as connection:
        cancelled = await resyncs.cancel(connection, "shop")
    assert cancelled is not None
    result = await asyncio.wait_for(running, 20)  # although the CRM never answers
    assert result is not None
    assert result.state == "cancelled"
    assert (await row(shop))["state"] == "cancelled"
    async with shop.pool.connection() as connection:
        assert await resyncs.cancel(connection, "shop") is None
    assert len(shop.crm.pages) < 10
    shop.crm.before_page = None
    await ask(shop)
    result = await run(shop)
    assert result is not None
    assert result.state == "done"
    assert await shop.value("select count(*) from core.orders") == 30


async def test_one_that_is_told_to_stop_waits_for_the_next_worker(shop: World) -> None:
    await add_customer(shop, "C-1")
    resync_id, stop = await ask(shop), asyncio.Event()
    result = await run(shop, stop=stop, progress=lambda state: stop.set() if state.stage == "customer" else None)
    assert result is not None
    assert result.state == "queued"
    stored = await row(shop)
    assert (stored["state"], stored["stage"]) == ("queued", "customer")
    pages = len(shop.crm.pages)
    result = await run(shop, resync_id=resync_id)
    assert result is not None
    assert (result.state, result.found["customer"]["compared"]) == ("done", 1)
    assert len(shop.crm.pages) == pages  # what was pulled is not pulled again


async def test_while_the_crm_does_not_answer_it_is_tried_again_and_then_fails_with_a_sentence(shop: World) -> None:
    failures = iter([RetryError("The CRM answers 503."), RetryError("The CRM answers 503.")])

    def fail(stream: str, page: int) -> None:
        if stream == "orders" and (error := next(failures, None)) is not None:
            raise error

    shop.crm.before_page = fail
    await ask(shop)
    result = await run(shop)
    assert result is not None
    assert result.state == "done"
    failures = iter([RetryError("The CRM answers 503.")] * 9)
    await ask(shop)
    result = await run(shop)
    assert result is not None
    assert (result.state, result.error_word, result.message) == ("failed", "retry", "The CRM answers 503.")


async def test_wrong_credentials_end_it_at_once(shop: World) -> None:
    def fail(stream: str, page: int) -> None:
        raise ConfigError("The key is not accepted: check api_key.")

    shop.crm.before_page = fail
    await ask(shop)
    result = await run(shop)
    assert result is not None
    assert (result.state, result.error_word) == ("failed", "config")


async def test_it_puts_no_more_into_the_outbox_than_empties(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "MOST_WAITING", 4)
    monkeypatch.setattr(comparison, "PORTION", 2)
    await shop.execute("insert into vms.customers (project_id) select 'shop' from generate_series(1, 10)")
    await shop.execute("delete from sync.outbox")
    most = 0

    async def empty(state: ResyncProgress) -> None:
        nonlocal most
        most = max(most, await shop.value("select count(*) from sync.outbox where state = 'waiting'"))
        if state.note:
            await shop.execute("update sync.outbox set state = 'sent' where state = 'waiting'")

    tasks: list[asyncio.Task[None]] = []
    await ask(shop)
    result = await run(shop, progress=lambda state: tasks.append(asyncio.create_task(empty(state))))
    await asyncio.gather(*tasks)
    assert result is not None
    assert (result.state, result.found["customer"]["missing_at_crm"]) == ("done", 10)
    assert most == 4
    assert await shop.value("select count(*) from sync.outbox") == 10


async def test_killed_in_any_stage_it_goes_on_and_does_nothing_twice(
    shop: World, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "PORTION", 5)
    keyring = Keyring.load(environment)
    await shop.add_project(key="", status_map=STATUS_MAP, vms={"inbound": True}, sync={"batch_size": 10})
    shop.keyring = keyring
    await shop.execute("delete from config.credentials")
    await shop.add_project(status_map=STATUS_MAP, vms={"inbound": True}, sync={"batch_size": 10})
    for number in range(12):
        await add_customer(shop, f"C-{number:02}", crm={"note": "new there"})
    shop.crm = toy()
    resync_id = await ask(shop)
    for stage, done in (("pull", 20), ("customer", 5), ("order", 10)):
        await asyncio.to_thread(_kill_in, stage, done, shop.url)
        stored = await row(shop)
        assert (stored["state"], stored["stage"]) == ("running", stage)
    result = await run(shop)
    assert result is not None
    assert (result.resync_id, result.state) == (resync_id, "done")
    assert (result.found["customer"]["compared"], result.found["customer"]["differing"]) == (12, 12)
    assert result.found["order"]["missing_in_vms"] == ORDERS
    out, into = await woken(shop)
    assert out == []
    assert len(into) == len(set(into)) == 12 + ORDERS
    assert shop.crm.pages == []  # pulling had ended before
    pulled = await shop.rows("select rows_seen from sync.runs where stream = 'orders' order by run_id")
    assert [run["rows_seen"] for run in pulled] == [20, ORDERS - 20]


def _kill_in(stage: str, done: int, url: str) -> None:
    """Run a resync until it is so far in this stage, and kill it there."""
    command = [sys.executable, "-m", "tests.support.resync_process", url, stage, str(done)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "reached\n" in process.stdout  # lines of its log come before
        process.kill()
