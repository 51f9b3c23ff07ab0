"""When the CRM refuses, fails, goes away or does not say whether it has done it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sync import dead_letters
from sync.two_way import outbound, outbound_breaker, outbound_change, outbound_project, outbound_settle
from tests.support.vms_changes import insert, mapping, send, set_project, states
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is due at once."""
    monkeypatch.setattr(outbound_settle, "BACKOFF_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(outbound_breaker, "PROBE_SECONDS", (0.02, 0.05))


async def alerts(world: World, kind: str) -> list[dict[str, Any]]:
    return await world.rows("select * from sync.alerts where kind = %s order by alert_id", kind)


async def test_what_the_crm_refuses_becomes_a_dead_letter_with_what_was_said(shop: World) -> None:
    await insert(shop, "orders", id=17)
    shop.crm.books.trouble = "refuse"
    assert (await send(shop)).failed == 1
    (letter,) = await shop.rows("select * from sync.dead_letters")
    assert (letter["direction"], letter["source"], letter["stream"], letter["raw_id"]) == (
        "outbound", "outbox", "order", 17,
    )  # fmt: skip
    assert (letter["error_word"], letter["reason"]) == ("permanent", "The toy CRM does not like this.")
    assert (letter["request"], letter["answer"]) == ("POST /order {}", '{"message": "no"}')
    assert letter["state"] == "permanently_failed"
    found = await mapping(shop, "order", 17)
    assert (found["sync_status"], found["error_message"]) == ("error", "The toy CRM does not like this.")
    assert len(await alerts(shop, "outbox_failed")) == 1
    await send(shop)
    assert len(shop.crm.books.pushes) == 1  # nobody tries by himself


async def test_a_dead_letter_is_sent_again_by_hand_and_closed_once_it_is_taken(shop: World) -> None:
    await insert(shop, "orders", id=17)
    shop.crm.books.trouble = "refuse"
    await send(shop)
    again = await dead_letters.retry(shop.pool, shop.keyring, lookup=shop.lookup)
    assert (again.resolved, again.failed) == (0, 1)
    assert await shop.value("select attempts from sync.dead_letters") == 2
    assert len(await alerts(shop, "outbox_failed")) == 1
    shop.crm.books.trouble = None
    again = await dead_letters.retry(shop.pool, shop.keyring, lookup=shop.lookup)
    assert (again.resolved, again.failed) == (1, 0)
    assert await shop.value("select closed_by from sync.dead_letters") == "sent"
    assert (await mapping(shop, "order", 17))["sync_status"] == "synced"
    (alert,) = await alerts(shop, "outbox_failed")
    assert alert["resolved_at"] is not None


@pytest.mark.parametrize("kind", ["order", "payment"])
async def test_a_dead_letter_whose_rows_are_gone_is_sent_again_all_the_same(shop: World, kind: str) -> None:
    await insert(shop, "orders", id=17)
    await insert(shop, "payments", id=4, order_id=17, amount=5)
    shop.crm.books.trouble_of = lambda change: "refuse" if change.entity == kind else None
    await send(shop)
    await shop.execute("delete from sync.outbox where state = 'failed'")
    shop.crm.books.trouble_of = None
    again = await dead_letters.retry(shop.pool, shop.keyring, lookup=shop.lookup)
    assert (again.resolved, again.failed) == (1, 0)
    assert (len(shop.crm.books.of("order")), len(shop.crm.books.of("payment"))) == (1, 1)


async def test_discarded_is_discarded(shop: World) -> None:
    await insert(shop, "orders", id=17)
    shop.crm.books.trouble = "refuse"
    await send(shop)
    assert await dead_letters.discard(shop.pool, project_id="shop") == 1
    shop.crm.books.trouble = None
    assert (await dead_letters.retry(shop.pool, shop.keyring, lookup=shop.lookup)).resolved == 0
    assert shop.crm.books.of("order") == []


async def test_a_later_change_of_what_failed_is_sent_with_everything_and_closes_the_letter(shop: World) -> None:
    await insert(shop, "orders", id=17, comment="bad")
    shop.crm.books.trouble = "refuse"
    await send(shop)
    shop.crm.books.trouble = None
    await shop.execute("update vms.orders set status = 'SHIPPED'")
    await send(shop)
    (order,) = shop.crm.books.of("order")
    assert (order["status"], order["comment"]) == ("3", "bad")
    assert await shop.value("select state from sync.dead_letters") == "resolved"


async def test_a_failing_crm_is_tried_as_often_as_the_project_says(shop: World) -> None:
    await set_project(shop, sync='{"retry_attempts": 2}')
    await insert(shop, "orders", id=17)
    shop.crm.books.trouble = "error"
    result = await send(shop)
    assert (result.later, result.failed) == (2, 1)
    assert len(shop.crm.books.pushes) == 3
    (letter,) = await shop.rows("select * from sync.dead_letters")
    assert (letter["error_word"], letter["reason"]) == ("retry", "The toy CRM answers 500.")
    assert letter["request"].startswith("create order 17 {")
    assert await states(shop) == ["failed"]


async def test_waits_grow_between_attempts(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_settle, "BACKOFF_SECONDS", (100.0, 1000.0))
    await insert(shop, "orders", id=17)
    shop.crm.books.trouble = "error"
    waits = []
    for _ in range(3):
        await send(shop)
        waits.append(
            await shop.value("select extract(epoch from not_before - clock_timestamp())::int from sync.outbox")
        )
        await shop.execute("update sync.outbox set not_before = clock_timestamp()")
    assert 75 <= waits[0] <= 121
    assert 155 <= waits[1] <= 241
    assert 315 <= waits[2] <= 481


async def test_a_crm_that_asks_to_come_later_costs_no_attempt(shop: World) -> None:
    await insert(shop, "orders", id=17)
    left = 10

    def slow(change: Any) -> str | None:
        nonlocal left
        left -= 1
        return "slow" if left else None

    shop.crm.books.trouble_of = slow
    result = await send(shop)
    assert (result.later, result.sent, result.failed) == (9, 1, 0)


@pytest.mark.parametrize("retries", [0, 3])
async def test_an_attempt_that_was_not_answered_doubles_nothing(shop: World, retries: int) -> None:
    """Without retries it fails, and the object is looked up when it is sent by hand."""
    await set_project(shop, sync=f'{{"retry_attempts": {retries}}}')
    await insert(shop, "customers", id=5, full_name="Olena")
    await insert(shop, "orders", id=17, customer_id=5)
    await insert(shop, "payments", order_id=17, amount=50)
    lost: set[str] = set()

    def lose_once(change: Any) -> str | None:
        if change.entity in lost:
            return None
        lost.add(change.entity)
        return "lost"

    shop.crm.books.trouble_of = lose_once
    for _ in range(4):
        await send(shop)
        await dead_letters.retry(shop.pool, shop.keyring, lookup=shop.lookup)
        await shop.execute("update sync.outbox set not_before = clock_timestamp() where state = 'waiting'")
    assert lost == {"customer", "order", "payment"}
    assert set(shop.crm.books.created.values()) == {1}
    assert [len(shop.crm.books.of(kind)) for kind in ("customer", "order", "payment")] == [1, 1, 1]
    assert await shop.value("select count(*) from sync.mappings where sync_status = 'synced'") == 3
    assert await shop.value("select count(*) from sync.dead_letters where closed_at is null") == 0


async def test_while_the_crm_is_away_the_queue_grows_and_nothing_counts(shop: World) -> None:
    await set_project(shop, sync='{"retry_attempts": 0}')
    shop.crm.books.trouble = "away"
    for number in range(3):
        await insert(shop, "customers", full_name=f"Customer {number}")
        await send(shop)
        await send(shop)
    await insert(shop, "customers", full_name="Customer 3")
    assert await states(shop) == ["waiting"] * 4
    assert await shop.value("select max(attempts) from sync.outbox") == 0
    assert await shop.value("select count(*) from sync.dead_letters") == 0
    (alert,) = await alerts(shop, "crm_away")
    assert (alert["subject"], alert["resolved_at"]) == ("shop", None)
    shop.crm.books.trouble = None
    assert (await send(shop)).sent == 4
    assert [row["full_name"] for row in shop.crm.books.of("customer")] == [f"Customer {n}" for n in range(4)]
    (alert,) = await alerts(shop, "crm_away")
    assert alert["resolved_at"] is not None
    shop.crm.books.trouble = "away"
    await insert(shop, "customers", full_name="Customer 4")
    await send(shop)
    assert len(await alerts(shop, "crm_away")) == 2  # it is a new one


async def test_a_sender_that_lives_on_asks_again_by_itself_and_drains_in_order(shop: World) -> None:
    await set_project(shop, sync='{"retry_attempts": 0, "max_concurrent_requests": 1}')
    shop.crm.books.trouble = "away"
    stop, wake = asyncio.Event(), asyncio.Event()
    async with outbound.opened(shop.pool, shop.keyring, instance="test", stop=stop, lookup=shop.lookup) as sender:
        running = asyncio.create_task(sender.run(wake))
        for number in range(30):
            await insert(
                shop,
                "articles" if number % 2 else "customers",
                id=number,
                **({"sku": f"S{number}"} if number % 2 else {"full_name": f"C{number}"}),
            )
            wake.set()
        async with asyncio.timeout(20):
            while shop.crm.books.health_checks < 5:
                wake.set()
                await asyncio.sleep(0.01)
        assert await alerts(shop, "crm_away")
        shop.crm.books.trouble = None
        async with asyncio.timeout(20):
            while set(await states(shop)) != {"sent"}:
                wake.set()
                await asyncio.sleep(0.01)
        stop.set()
        await running
    assert [row["full_name"] for row in shop.crm.books.of("customer")] == [f"C{number}" for number in range(0, 30, 2)]
    assert sorted(row["sku"] for row in shop.crm.books.of("article")) == sorted(f"S{n}" for n in range(1, 30, 2))
    assert len(await alerts(shop, "crm_away")) == 1


async def test_wrong_credentials_stop_the_project_and_lose_nothing(shop: World) -> None:
    await insert(shop, "orders", id=17)
    shop.crm.books.trouble = "config"
    await send(shop)
    await send(shop)
    (project,) = await shop.rows("select is_enabled, disabled_reason from config.projects")
    assert (project["is_enabled"], project["disabled_reason"]) == (False, "The key is wrong: set another.")
    assert await states(shop) == ["waiting"]
    assert len(await alerts(shop, "project_disabled")) == 1
    shop.crm.books.trouble = None
    await shop.execute("update config.projects set is_enabled = true, disabled_reason = null")
    assert (await send(shop)).sent == 1
    (alert,) = await alerts(shop, "project_disabled")
    assert alert["resolved_at"] is not None


async def test_a_bug_of_the_connector_stops_one_object_and_not_the_others(shop: World) -> None:
    await shop.execute(
        "insert into vms.articles (project_id, sku) select 'shop', 'S-' || n from generate_series(1, 5) n"
    )

    def stumble(changes: Any) -> None:
        if any(change.data["sku"] == "S-3" for change in changes):
            raise KeyError("a bug")

    shop.crm.before_push = stumble
    result = await send(shop)
    assert (result.sent, result.failed) == (4, 1)
    assert await shop.value("select reason from sync.dead_letters") == "Unexpected error: KeyError"


async def test_two_objects_of_vms_are_not_linked_with_one_of_the_crm(shop: World) -> None:
    await insert(shop, "customers", id=1, full_name="Olena")
    await send(shop)
    (crm_id,) = shop.crm.books.objects["customer"]
    await insert(shop, "customers", id=2, full_name="Olena P.")
    apply = shop.crm.books.apply

    def find(change: Any) -> Any:
        result = apply(change)
        return type(result)(crm_id, was_there=True)  # by her phone, say

    shop.crm.books.apply = find  # type: ignore[method-assign]
    assert (await send(shop)).failed == 1
    reason = await shop.value("select reason from sync.dead_letters")
    assert reason.startswith(f"customer {crm_id} of the CRM is linked with customer 1 of vms already")


async def test_an_answer_that_cannot_be_stored_concerns_its_own_object_alone(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_project, "BACKOFF_SECONDS", (0.0, 0.0))
    await set_project(shop, sync='{"retry_attempts": 2}')
    await shop.execute(
        "insert into vms.customers (project_id, full_name) select 'shop', 'C' || n from generate_series(1, 9) as n"
    )
    apply = shop.crm.books.apply

    def answer(change: Any) -> Any:
        result = apply(change)
        return type(result)("a\x00b") if change.data["full_name"] == "C4" else result

    shop.crm.books.apply = answer  # type: ignore[method-assign]
    result = await send(shop)
    assert (result.sent, result.later, result.failed) == (8, 2, 1)
    assert await shop.value("select reason from sync.dead_letters") == "Unexpected error: DataError"
    assert sorted(row["full_name"] for row in shop.crm.books.of("customer")) == [f"C{n}" for n in range(1, 10)]


async def test_an_object_that_cannot_be_read_stops_no_other(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = outbound_change.plan

    def stumble(rows: Any, *rest: Any) -> Any:
        if rows[0].vms_entity_id == 2:
            raise KeyError("a bug")
        return plan(rows, *rest)

    monkeypatch.setattr(outbound_change, "plan", stumble)
    for number in (1, 2, 3):
        await insert(shop, "customers", id=number, full_name=f"C{number}")
    result = await send(shop)
    assert (result.sent, result.failed) == (2, 1)
    (letter,) = await shop.rows("select raw_id, reason from sync.dead_letters")
    assert letter == {"raw_id": 2, "reason": "Unexpected error: KeyError"}
