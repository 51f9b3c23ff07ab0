from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from database.repositories import queue, raw
from database.repositories.dead_letters import Letter, open_many
from sync.normalise import DrainResult, drain
from tests.support.toy_crm import minute, record
from tests.support.world import World

pytestmark = pytest.mark.anyio


def hook(order_id: Any = 1, status: Any = 1, at: float = 0, **values: Any) -> str:
    row = {"id": order_id, "status": status, "changed_at": minute(at), "updated_at": minute(at), **values}
    return json.dumps(row, ensure_ascii=False)


async def apply(world: World, **options: Any) -> DrainResult:
    return await drain(world.pool, "shop", lookup=world.lookup, **options)


async def events(world: World) -> list[tuple[str, str, float]]:
    rows = await world.rows(
        "select order_id, status_id, status_changed_at from core.order_status_events order by event_id"
    )
    start = datetime.fromisoformat(minute(0))
    return [
        (row["order_id"], row["status_id"], (row["status_changed_at"] - start).total_seconds() / 60) for row in rows
    ]


async def test_a_webhook_becomes_an_event_a_partial_order_and_a_request_to_read_it(world: World) -> None:
    await world.webhook(hook(501, 4, 3, group=2, total="1200.5", comment="Привіт 🙂"))

    result = await apply(world)

    assert (result.rows, result.events, result.failed, result.rereads) == (1, 1, 0, 1)
    [event] = await world.rows("select * from core.order_status_events")
    assert event["dedup_key"] == "shop|501|2026-03-01T08:03:00.000000+00:00|4|2"
    assert event["source"] == "webhook"
    assert event["payload"]["comment"] == "Привіт 🙂"
    [order] = await world.rows("select * from core.orders")
    assert (order["order_id"], order["status_id"], order["grand_total"]) == ("501", "4", Decimal("1200.50"))
    assert order["manager_comment"] == "Привіт 🙂"
    assert (order["currency"], order["has_items"], order["items_updated_at"]) == ("UAH", False, None)
    [request] = await world.rows("select stream, crm_id, origin, state from sync.requests")
    assert (request["stream"], request["crm_id"], request["origin"], request["state"]) == (
        "orders",
        "501",
        "webhook",
        "queued",
    )
    assert await world.value("select count(*) from sync.raw_queue") == 0


async def test_the_same_webhook_twice_adds_nothing(world: World) -> None:
    await world.webhook(hook(), hook())
    await apply(world)
    before = await world.snapshot()
    await world.webhook(hook())

    result = await apply(world)

    assert (result.rows, result.events) == (1, 0)
    assert await world.snapshot() == before
    assert await world.value("select count(*) from sync.requests") == 1


async def test_an_id_as_number_and_as_text_is_the_same_order(world: World) -> None:
    await world.webhook(hook(7), hook("7"))
    await apply(world)
    assert await events(world) == [("7", "1", 0)]
    assert await world.value("select count(*) from core.orders") == 1


async def test_a_late_event_is_inserted_and_does_not_turn_the_order_back(world: World) -> None:
    await world.webhook(hook(1, 3, 30, total="30"))
    await apply(world)
    await world.webhook(hook(1, 2, 20, total="20"))
    await apply(world)
    assert await events(world) == [("1", "3", 30), ("1", "2", 20)]
    [order] = await world.rows("select status_id, grand_total from core.orders")
    assert order == {"status_id": "3", "grand_total": Decimal("30.00")}


async def test_the_same_status_at_another_time_is_another_event(world: World) -> None:
    await world.webhook(hook(1, 1, 0), hook(1, 2, 5), hook(1, 1, 9))
    await apply(world)
    assert await events(world) == [("1", "1", 0), ("1", "2", 5), ("1", "1", 9)]


async def test_two_statuses_in_one_instant_keep_their_order_of_arrival(world: World) -> None:
    await world.webhook(hook(1, 9, 5), hook(1, 2, 5))
    await apply(world)
    assert await events(world) == [("1", "9", 5), ("1", "2", 5)]
    assert await world.value("select status_id from core.orders") == "2"


async def test_one_unreadable_row_becomes_a_dead_letter_and_the_others_are_applied(world: World) -> None:
    ids = await world.webhook(hook(1), '{"trouble": "skip"}', hook(2), '{"trouble": "bug"}', "not json", hook(3))
    result = await apply(world)
    assert (result.rows, result.events, result.failed) == (6, 3, 3)
    letters = await world.rows("select * from sync.dead_letters order by raw_id")
    assert [letter["raw_id"] for letter in letters] == [ids[1], ids[3], ids[4]]
    assert {letter["error_word"] for letter in letters} == {"skip_row"}
    assert letters[0]["reason"] == "The record is unreadable."
    assert letters[2]["payload"] == "not json"
    assert await world.value("select count(*) from sync.raw_queue") == 0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"total": "1e30"}, "grand_total is no number of up to 15 digits"),
        ({"comment": "nul \x00 here"}, "NUL character"),
        ({"comment": "half a pair \ud800"}, "lone surrogate"),
        ({"group": "x" * 256}, "status_group_id has over 255 characters"),
    ],
    ids=["numeric overflow", "NUL", "lone surrogate", "too long for an index"],
)
async def test_a_record_that_does_not_fit_is_isolated(world: World, values: dict[str, Any], reason: str) -> None:
    bad = json.dumps({**json.loads(hook(13)), **values})
    await world.webhook(*(hook(number) for number in range(1, 13)), bad, *(hook(n) for n in range(14, 30)))

    result = await apply(world)

    assert (result.rows, result.events, result.failed) == (29, 28, 1)
    [letter] = await world.rows("select * from sync.dead_letters")
    assert reason in letter["reason"]
    assert letter["payload"] == bad
    assert await world.value("select count(*) from core.orders where order_id = '13'") == 0


async def test_records_that_only_the_database_refuses_are_isolated_too(world: World) -> None:
    for number in range(1, 40):
        world.crm.put("orders", str(number), status=1, updated_at=minute(number), changed_at=minute(1), items=["a"])
    for number in ("13", "14", "30"):  # rounds to one digit more than the column has
        world.crm.records["orders"][number]["quantity"] = "999999999999999.9999"
    await land(world, "orders", *world.crm.records["orders"])
    assert await world.value("select count(*) from core.orders") == 36
    letters = await world.rows("select crm_id, reason from sync.dead_letters order by crm_id")
    assert [letter["crm_id"] for letter in letters] == ["13", "14", "30"]
    assert letters[0]["reason"] == "The record does not fit: numeric field overflow"


async def test_an_emoji_written_as_escapes_is_no_trouble(world: World) -> None:
    await world.webhook(json.dumps({**json.loads(hook(1)), "comment": "🙂 \\u0000"}, ensure_ascii=True))
    assert (await apply(world)).failed == 0
    assert await world.value("select manager_comment from core.orders") == "🙂 \\u0000"


async def test_rows_of_an_unknown_project_are_kept_as_dead_letters(world: World) -> None:
    await world.webhook(hook(), project_id="nobody")
    result = await drain(world.pool, lookup=world.lookup)
    assert result.failed == 1
    [letter] = await world.rows("select * from sync.dead_letters")
    assert (letter["project_id"], letter["error_word"]) == ("nobody", "config")


async def test_a_complete_order_overwrites_and_a_partial_one_only_adds(world: World) -> None:
    world.crm.put(
        "orders", "1", status=1, updated_at=minute(1), changed_at=minute(1), total=10, tracking="T1", items=["a", "b"]
    )
    await pull_one(world, "1")
    await world.webhook(hook(1, 2, 2, total=20))
    await apply(world)
    [order] = await world.rows("select * from core.orders")
    assert (order["status_id"], order["grand_total"], order["tracking_code"]) == ("2", Decimal("20.00"), "T1")
    assert order["has_items"]

    world.crm.put("orders", "1", status=3, updated_at=minute(3), changed_at=minute(3), total=30, items=["b"])
    await pull_one(world, "1")
    [order] = await world.rows("select * from core.orders")
    assert (order["status_id"], order["grand_total"], order["tracking_code"]) == ("3", Decimal("30.00"), None)
    assert await items(world) == ["b"]


async def test_an_older_complete_order_changes_neither_order_nor_items(world: World) -> None:
    world.crm.put("orders", "1", status=3, updated_at=minute(3), total=30, items=["new"], payments=["p1"])
    await pull_one(world, "1")
    world.crm.put("orders", "1", status=1, updated_at=minute(1), total=10, items=["old"], payments=["p0"])
    await pull_one(world, "1")
    assert await world.value("select grand_total from core.orders") == Decimal("30.00")
    assert await items(world) == ["new"]
    assert await world.rows("select payment_id, is_deleted from core.payments") == [
        {"payment_id": "p1", "is_deleted": False}
    ]


async def test_items_older_than_a_webhook_are_taken_where_none_are_known(world: World) -> None:
    await world.webhook(hook(1, 3, 30))
    await apply(world)
    world.crm.put("orders", "1", status=1, updated_at=minute(10), items=["a"])
    await pull_one(world, "1")
    assert await items(world) == ["a"]
    assert await world.value("select status_id from core.orders") == "3"


async def test_a_payment_that_is_no_longer_on_the_order_is_marked_deleted(world: World) -> None:
    world.crm.put("orders", "1", status=1, updated_at=minute(1), payments=["p1", "p2"])
    await pull_one(world, "1")
    world.crm.put("orders", "1", status=1, updated_at=minute(2), payments=["p2", "p3"])
    await pull_one(world, "1")
    rows = await world.rows("select payment_id, is_deleted, currency from core.payments order by payment_id")
    assert [(row["payment_id"], row["is_deleted"]) for row in rows] == [("p1", True), ("p2", False), ("p3", False)]
    assert {row["currency"] for row in rows} == {"UAH"}


async def test_money_has_the_orders_currency_else_its_sources_else_the_projects(world: World) -> None:
    world.crm.put("sources", "2", name="Shop", currency="EUR")
    await land(world, "sources", "2")
    world.crm.put("orders", "1", source=2, currency="USD", updated_at=minute(1))
    world.crm.put("orders", "2", source=2, updated_at=minute(1))
    world.crm.put("orders", "3", source=9, updated_at=minute(1))
    for order_id in ("1", "2", "3"):
        await pull_one(world, order_id)
    await world.webhook(hook(2, at=5))  # knows no source, and must not make hryvnias of euros
    await apply(world)
    rows = await world.rows("select order_id, currency from core.orders order by order_id")
    assert [row["currency"] for row in rows] == ["USD", "EUR", "UAH"]


async def test_a_guessed_event_counts_only_if_the_status_is_new(world: World) -> None:
    world.crm.put("orders", "1", status=1, updated_at=minute(1))
    await pull_one(world, "1")
    world.crm.put("orders", "1", status=1, updated_at=minute(2), comment="edited")
    await pull_one(world, "1")
    world.crm.put("orders", "1", status=2, updated_at=minute(3))
    await pull_one(world, "1")
    await world.webhook(hook(1, 5, 4))
    world.crm.put("orders", "1", status=5, updated_at=minute(6))
    await pull_one(world, "1")
    rows = await world.rows("select status_id, is_approximate, source from core.order_status_events order by event_id")
    assert [(row["status_id"], row["is_approximate"]) for row in rows] == [("1", True), ("2", True), ("5", False)]


async def test_marketing_from_a_comment_does_not_replace_what_the_api_told(world: World) -> None:
    world.crm.put("orders", "1", status=1, updated_at=minute(1), utm="google")
    await pull_one(world, "1")
    await world.webhook(hook(1, 2, 2, utm="comment"), hook(2, 2, 2, utm="comment"))
    await apply(world)
    rows = await world.rows("select order_id, utm_source, source from core.order_marketing order by order_id")
    assert [(row["utm_source"], row["source"]) for row in rows] == [("google", "api"), ("comment", "comment")]


async def test_no_reread_is_asked_for_where_core_is_newer_than_the_hint(world: World) -> None:
    world.crm.put("orders", "1", status=2, updated_at=minute(5), changed_at=minute(5), items=[])
    await pull_one(world, "1")
    await world.webhook(hook(1, 2, 4))
    await apply(world)
    assert await world.value("select count(*) from sync.requests") == 0
    await world.webhook(hook(1, 3, 6))
    await apply(world)
    assert await world.value("select count(*) from sync.requests") == 1


async def test_a_problem_in_a_record_becomes_a_dead_letter_and_the_rest_is_applied(world: World) -> None:
    world.crm.put("orders", "1", status=1, updated_at=minute(1), problem="The date of birth is no date.")
    await pull_one(world, "1")
    [letter] = await world.rows("select * from sync.dead_letters")
    assert (letter["reason"], letter["crm_id"]) == ("The date of birth is no date.", "1")
    assert await world.value("select count(*) from core.orders") == 1
    world.crm.put("orders", "1", status=1, updated_at=minute(2))
    await pull_one(world, "1")
    assert await world.value("select state from sync.dead_letters") == "resolved"


async def test_the_reasons_of_one_row_are_separated_and_each_is_told_once(world: World) -> None:
    reasons = ["[1].offer_id: missing", "id: missing", "[3].in_stock: missing", "id: missing"]
    letters = [Letter("webhook", "skip_row", reason, raw_id=7, stream="stocks") for reason in reasons]
    async with world.pool.connection() as connection:
        await open_many(connection, "shop", [*letters, Letter("webhook", "skip_row", "alone", raw_id=8)])
    stored = await world.rows("select reason from sync.dead_letters order by raw_id")
    assert [row["reason"] for row in stored] == ["[1].offer_id: missing; id: missing; [3].in_stock: missing", "alone"]


async def test_stocks_and_offers_share_a_row_and_leave_each_others_columns(world: World) -> None:
    world.crm.put("stocks", "130", sku="a-1", quantity=16, updated_at=minute(1))
    await land(world, "stocks", "130")
    [offer] = await world.rows("select * from core.offers")
    assert (offer["in_stock"], offer["sku"], offer["price"]) == (Decimal("16.000"), "a-1", Decimal("1.00"))
    assert offer["stock_updated_at"] is not None
    assert await world.value("select name from core.products") == "A thing"


async def test_two_drains_side_by_side_lose_and_double_nothing(world: World) -> None:
    orders, statuses = 40, 6
    for status in range(statuses):
        for order in range(orders):
            await world.webhook(hook(order, status, status), hook(order, status, status))
    stop = asyncio.Event()

    async def keep_draining() -> int:
        rows = 0
        while not stop.is_set() or await world.value("select count(*) from sync.raw_queue"):
            rows += (await drain(world.pool, limit=7, lookup=world.lookup)).rows
        return rows

    tasks = [asyncio.create_task(keep_draining()) for _ in range(3)]
    for order in range(orders):
        await world.webhook(hook(order, 99, 99))
    stop.set()
    done = await asyncio.wait_for(asyncio.gather(*tasks), 60)

    assert sum(done) == orders * statuses * 2 + orders
    assert await world.value("select count(*) from core.order_status_events") == orders * (statuses + 1)
    assert await world.value("select count(*) from core.orders where status_id = '99'") == orders


async def test_projects_do_not_wait_for_each_other(world: World) -> None:
    await world.add_project("other")
    await world.webhook(hook(1))
    await world.webhook(hook(2), project_id="other")
    async with world.pool.connection() as connection, connection.transaction():
        await connection.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 0))", ["crm_elt." + queue.lock_name("shop")]
        )
        result = await drain(world.pool, lookup=world.lookup)
        assert (result.rows, result.busy) == (1, ["shop"])
    result = await drain(world.pool, lookup=world.lookup)
    assert (result.rows, result.busy) == (1, [])


async def test_the_backlog_says_how_much_waits_and_how_long(world: World) -> None:
    async with world.pool.connection() as connection:
        assert await queue.backlog(connection) == queue.Backlog(0, 0.0)
        await world.webhook(hook(1), hook(2))
        await world.execute("update sync.raw_queue set enqueued_at = enqueued_at - interval '90 s'")
        backlog = await queue.backlog(connection)
    assert backlog.count == 2
    assert 90 <= backlog.oldest_seconds < 120


async def test_a_raw_row_that_retention_took_is_reported(world: World) -> None:
    await world.webhook(hook(1))
    await world.execute("delete from raw.webhook_events")
    result = await apply(world)
    assert result.failed == 1
    assert "retention" in await world.value("select reason from sync.dead_letters")


async def test_nothing_is_written_where_nothing_changes(world: World) -> None:
    world.crm.put(
        "orders", "1", status=1, updated_at=minute(1), items=["a"], payments=["p"], customer=5, customer_name="Ім'я"
    )
    await pull_one(world, "1")
    before = await world.rows(
        "select xmin::text as x from core.orders union all select xmin::text from core.order_items"
    )
    world.crm.records["orders"]["1"]["unmapped"] = True
    await pull_one(world, "1")
    assert await world.value("select count(*) from raw.api_records") == 2
    after = await world.rows(
        "select xmin::text as x from core.orders union all select xmin::text from core.order_items"
    )
    assert after == before


async def test_the_clock_of_a_status_event_is_kept_to_the_microsecond(world: World) -> None:
    body = json.loads(hook(1))
    body["changed_at"] = "2026-03-01T10:00:00.000001+02:00"
    await world.webhook(json.dumps(body))
    await apply(world)
    assert await world.value("select status_changed_at from core.order_status_events") == datetime(
        2026, 3, 1, 8, 0, 0, 1, tzinfo=UTC
    )


async def items(world: World) -> list[str]:
    rows = await world.rows("select sku from core.order_items order by order_id, line_number")
    return [row["sku"] for row in rows]


async def land(world: World, stream: str, *crm_ids: str) -> None:
    async with world.pool.connection() as connection, connection.transaction():
        await raw.land_api_records(
            connection, "shop", "toy", stream, None, [record(stream, world.crm.records[stream][id_]) for id_ in crm_ids]
        )
    await apply(world)


async def pull_one(world: World, order_id: str) -> None:
    await land(world, "orders", order_id)
