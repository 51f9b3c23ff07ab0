"""Changes in vms reach the CRM: every trigger, together, in order, and only what the project wants."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.support.vms_changes import insert, mapping, send, set_project, states
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_a_new_order_arrives_whole_after_its_customer_and_article(shop: World) -> None:
    async with shop.pool.connection() as connection, connection.transaction():
        for statement in (
            "insert into vms.customers (project_id, id, full_name, phone) values ('shop', 5, 'Olena', '0671112233')",
            "insert into vms.articles (project_id, id, sku, name, price) values ('shop', 7, 'A-1', 'Cup', 120.5)",
            "insert into vms.orders (project_id, id, customer_id, comment) values ('shop', 17, 5, 'by noon')",
            "insert into vms.order_items (project_id, order_id, article_id, quantity) values ('shop', 17, 7, 2)",
            "insert into vms.payments (project_id, order_id, amount, status) values ('shop', 17, 100, 'paid')",
            "insert into vms.shipments (project_id, order_id, carrier) values ('shop', 17, 'NP')",
        ):
            await connection.execute(statement)
    assert (await send(shop)).sent == 6
    kinds = [kind for kind, _, _ in shop.crm.books.log]
    assert (sorted(kinds[:2]), kinds[2:]) == (["article", "customer"], ["order", "payment"])
    (customer,), (article,) = shop.crm.books.of("customer"), shop.crm.books.of("article")
    (order,), (payment,) = shop.crm.books.of("order"), shop.crm.books.of("payment")
    assert (customer["full_name"], customer["phone"]) == ("Olena", "+380671112233")
    assert (article["sku"], article["price"], article["stock"]) == ("A-1", Decimal("120.50"), Decimal("0.000"))
    article_id = next(iter(shop.crm.books.objects["article"]))
    assert order["items"] == [
        {
            "sku": "A-1", "name": "Cup", "quantity": Decimal("2.000"), "price": Decimal("120.50"),
            "discount": Decimal("0.00"), "crm_id": article_id,
        }
    ]  # fmt: skip
    assert (order["status"], order["comment"]) == ("1", "by noon")
    assert order["carrier"] == "NP"
    assert (payment["amount"], payment["status"]) == (Decimal("100.00"), "paid")
    found = await mapping(shop, "order", 17)
    assert (found["crm_entity_id"], found["sync_status"], found["last_direction"]) == (
        next(iter(shop.crm.books.objects["order"])), "synced", "outbound",
    )  # fmt: skip
    assert (found["agreed_vms"]["status"], found["agreed_crm"]["status"]) == ("PENDING", "1")
    assert str(found["idempotency_key"]) == order["key"]
    assert set(await states(shop)) == {"sent"}
    ledger = await shop.rows("select * from sync.write_ledger order by ledger_id")
    assert sorted(row["entity_type"] for row in ledger) == ["article", "customer", "order", "order", "payment"]
    assert {row["side"] for row in ledger} == {"crm"}
    events = await shop.rows("select kind, origin from sync.stream_events order by event_id")
    assert sorted(row["kind"] for row in events) == ["buyer", "order", "payment", "stock"]


@pytest.mark.parametrize(
    ("statement", "kind", "fields"),
    [
        ("update vms.orders set status = 'SHIPPED'", "order", {"status": "3"}),
        ("insert into vms.payments (project_id, order_id, amount) values ('shop', 17, 9)", "payment",
         {"amount": Decimal("9.00"), "status": "pending"}),
        ("update vms.payments set status = 'paid', paid_at = '2026-03-01T08:00Z'", "payment", {"status": "paid"}),
        ("insert into vms.shipments (project_id, order_id, carrier, tracking_number) values ('shop', 17, 'NP', 'T9')",
         "order", {"carrier": "NP", "tracking_number": "T9"}),
        ("insert into vms.customers (project_id, full_name) values ('shop', 'Ihor')", "customer",
         {"full_name": "Ihor"}),
        ("update vms.customers set phone = '+380501234567', email = 'o@example.com'", "customer",
         {"phone": "+380501234567", "email": "o@example.com"}),
        ("update vms.customers set segment = 'gold'", "customer", {"segment": "gold"}),
        ("insert into vms.articles (project_id, sku) values ('shop', 'B-2')", "article", {"sku": "B-2"}),
        ("update vms.articles set stock = 12", "article", {"stock": Decimal("12.000")}),
        ("update vms.articles set price = 99", "article", {"price": Decimal("99.00")}),
    ],
)  # fmt: skip
async def test_each_change_reaches_the_connector_alone(
    shop: World, statement: str, kind: str, fields: dict[str, Any]
) -> None:
    await insert(shop, "customers", id=5, full_name="Olena")
    await insert(shop, "articles", id=7, sku="A-1", price=10)
    await insert(shop, "orders", id=17, customer_id=5)
    await insert(shop, "payments", id=3, order_id=17, amount=50)
    await send(shop)
    before = len(shop.crm.books.log)
    await shop.execute(statement)
    await send(shop)
    ((written, crm_id, names),) = shop.crm.books.log[before:]
    assert written == kind
    stored = shop.crm.books.objects[kind][crm_id]
    assert {name: stored[name] for name in fields} == fields
    if "insert" not in statement:
        assert set(names) - {"paid_at"} == set(fields)


async def test_changes_that_wait_together_are_sent_as_one_with_the_newest_state(shop: World) -> None:
    order_id = await insert(shop, "orders", comment="one")
    for number in range(5):
        await shop.execute("update vms.orders set comment = %s, status = 'CONFIRMED'", f"more {number}")
    result = await send(shop)
    assert (result.sent, len(shop.crm.books.pushes)) == (6, 1)
    (order,) = shop.crm.books.of("order")
    assert (order["comment"], order["status"]) == ("more 4", "2")
    assert (await mapping(shop, "order", order_id))["sync_status"] == "synced"
    await shop.execute("update vms.orders set comment = 'x'")
    await shop.execute("update vms.orders set comment = 'more 4'")
    assert (await send(shop)).skipped == 2  # it is as it was
    assert len(shop.crm.books.pushes) == 1


async def test_a_change_made_while_one_is_being_sent_follows_it(shop: World) -> None:
    order_id = await insert(shop, "orders", comment="one")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        begun.set()
        await go_on.wait()

    shop.crm.before_push = lambda changes: hold()
    sending = asyncio.create_task(send(shop))
    await begun.wait()
    await shop.execute("update vms.orders set comment = 'two'")
    assert await states(shop) == ["sending", "waiting"]
    await send(shop)  # another process leaves the lane alone
    assert shop.crm.books.pushes == []
    go_on.set()
    await sending
    assert (await send(shop)).sent in (0, 1)
    assert [row["comment"] for row in shop.crm.books.of("order")] == ["two"]
    assert len(shop.crm.books.log) == 2
    assert (await mapping(shop, "order", order_id))["agreed_vms"]["comment"] == "two"


async def test_stock_goes_in_batches_of_the_projects_size_and_pushes_run_side_by_side(shop: World) -> None:
    await set_project(shop, sync='{"batch_size": 20, "max_concurrent_requests": 2}')
    at_once = most_at_once = 0

    async def count() -> None:
        nonlocal at_once, most_at_once
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        for _ in range(20):
            await asyncio.sleep(0)
        at_once -= 1

    shop.crm.before_push = lambda changes: count()
    await shop.execute(
        "insert into vms.articles (project_id, sku, stock) select 'shop', 'S-' || n, n from generate_series(1, 90) as n"
    )
    assert (await send(shop)).sent == 90
    assert sorted(size for _, size in shop.crm.books.pushes) == [10, 20, 20, 20, 20]
    assert most_at_once == 2
    assert sorted(row["stock"] for row in shop.crm.books.of("article")) == [Decimal(n) for n in range(1, 91)]


async def test_an_order_waits_for_its_customer_and_a_payment_for_its_order(shop: World) -> None:
    await insert(shop, "customers", id=5, full_name="Olena")
    await insert(shop, "orders", id=17, customer_id=5)
    await insert(shop, "payments", order_id=17, amount=50)
    shop.crm.books.trouble_of = lambda change: "error" if change.entity == "customer" else None
    await send(shop)
    assert shop.crm.books.objects.get("order") is None  # the customer is to be tried again
    await shop.execute("update sync.outbox set not_before = clock_timestamp()")
    shop.crm.books.trouble_of = lambda change: "error" if change.entity == "order" else None
    await send(shop)
    assert (len(shop.crm.books.of("customer")), shop.crm.books.objects.get("payment")) == (1, None)
    await shop.execute("update sync.outbox set not_before = clock_timestamp()")
    shop.crm.books.trouble_of = None
    await send(shop)
    assert [kind for kind, _, _ in shop.crm.books.log] == ["customer", "order", "payment"]
    (order,) = shop.crm.books.of("order")
    assert order["customer"] == next(iter(shop.crm.books.objects["customer"]))


async def test_payments_of_an_order_that_was_refused_wait_until_it_is_there(shop: World) -> None:
    await insert(shop, "orders", id=17)
    await insert(shop, "payments", order_id=17, amount=50)
    shop.crm.books.trouble_of = lambda change: "refuse" if change.entity == "order" else None
    await send(shop)
    assert await states(shop) == ["failed", "waiting"]
    await shop.execute("update sync.outbox set not_before = clock_timestamp() where state = 'waiting'")
    await send(shop)
    assert await states(shop) == ["failed", "waiting"]
    shop.crm.books.trouble_of = None
    await shop.execute("update vms.orders set comment = 'better'")
    await send(shop)
    assert await states(shop) == ["failed", "sent", "sent"]


async def test_who_sends_only_what_the_flags_allow_says_so(shop: World) -> None:
    await set_project(shop, vms='{"outbound_orders": false, "stock": false, "inbound": false}')
    await insert(shop, "customers", full_name="Olena")
    await insert(shop, "orders", id=17)
    await insert(shop, "payments", order_id=17, amount=5)
    await insert(shop, "articles", sku="A-1")
    result = await send(shop)
    assert (result.sent, result.skipped) == (1, 3)
    assert [kind for kind, _, _ in shop.crm.books.log] == ["customer"]
    messages = await shop.rows("select entity_type, message from sync.outbox where state = 'skipped' order by 1")
    assert [row["entity_type"] for row in messages] == ["article", "order", "payment"]
    assert "does not send" in messages[0]["message"]


async def test_a_crm_that_takes_no_such_objects_is_not_bothered(shop: World) -> None:
    shop.crm.most["article"] = 0
    await insert(shop, "articles", sku="A-1")
    await send(shop)
    (row,) = await shop.rows("select * from sync.outbox")
    assert (row["state"], row["message"]) == ("skipped", "toy takes no changes of such objects (article).")


async def test_a_dry_run_tells_what_it_would_send_without_names_and_sends_nothing(shop: World) -> None:
    await set_project(shop, vms='{"dry_run": true}')
    await insert(shop, "customers", id=5, full_name="Olena Petrenko", phone="+380671112233", note="calls at 5")
    await insert(shop, "orders", id=17, customer_id=5)
    assert (await send(shop)).skipped == 2
    assert shop.crm.books.pushes == []
    logged = await shop.rows("select message, details from sync.integration_logs order by log_id")
    assert [row["message"] for row in logged] == [
        "Dry run: would create customer 5 at the CRM (full_name, note, phone).",
        "Dry run: would create order 17 at the CRM (customer, discount, items, shipping_price, status).",
    ]
    text = str([row["details"] for row in logged])
    assert "Petrenko" not in text
    assert "1112233" not in text
    assert "calls" not in text
    assert logged[1]["details"]["fields"]["status"] == "1"


async def test_what_is_rolled_back_is_not_sent(shop: World) -> None:
    async def write_and_fail() -> None:
        async with shop.pool.connection() as connection, connection.transaction():
            await connection.execute("insert into vms.customers (project_id, full_name) values ('shop', 'Olena')")
            await connection.execute("insert into vms.orders (project_id, discount) values ('shop', -1)")

    with pytest.raises(psycopg.errors.CheckViolation):
        await write_and_fail()
    assert (await send(shop)).sent == 0
    assert shop.crm.books.pushes == []


async def test_what_is_deleted_in_vms_is_not_deleted_at_the_crm_and_that_is_said(shop: World) -> None:
    await insert(shop, "orders", id=17)
    await send(shop)
    await shop.execute("delete from vms.orders")
    await insert(shop, "orders", id=18)
    await shop.execute("delete from vms.orders")
    assert (await send(shop)).skipped == 3
    assert len(shop.crm.books.of("order")) == 1
    found = await mapping(shop, "order", 17)
    crm_id = next(iter(shop.crm.books.objects["order"]))
    assert (found["sync_status"], found["error_message"]) == (
        "error", f"order 17 was deleted in vms; nothing is deleted at the CRM: do so with {crm_id} there.",
    )  # fmt: skip


async def test_a_status_that_no_status_of_the_crm_means_leaves_it_alone_and_is_told(shop: World) -> None:
    await insert(shop, "orders", id=17)
    await send(shop)
    await shop.execute("update vms.orders set status = 'REFUNDED', comment = 'sorry'")
    await send(shop)
    (order,) = shop.crm.books.of("order")
    assert (order["status"], order["comment"]) == ("1", "sorry")
    found = await mapping(shop, "order", 17)
    assert "status_map" in found["ignored"]["status"]
    await shop.execute("update vms.orders set comment = 'really'")
    await send(shop)
    logged = await shop.rows("select message from sync.integration_logs where level = 'warning'")
    assert len(logged) == 1


async def test_what_the_crm_cannot_take_is_told_once_and_not_tried_again(shop: World) -> None:
    await insert(shop, "orders", id=17)
    await insert(shop, "shipments", order_id=17, tracking_number="T1")
    await send(shop)
    shop.crm.books.ignores = {"tracking_number": "It can be set once only: change it by hand."}
    await shop.execute("update vms.shipments set tracking_number = 'T2'")
    await send(shop)
    await shop.execute("update vms.orders set comment = 'x'")
    await send(shop)
    assert [names for _, _, names in shop.crm.books.log][1:] == [("comment",)]
    logged = await shop.rows("select message from sync.integration_logs where level = 'warning'")
    assert [row["message"] for row in logged] == [
        "order 17, tracking_number: It can be set once only: change it by hand."
    ]


async def test_earlier_orders_of_a_customer_follow_once_it_is_linked_if_the_project_asks(shop: World) -> None:
    async with shop.pool.connection() as connection, connection.transaction():
        await connection.execute("select set_config('crm_elt.origin', 'import', true)")
        await connection.execute("insert into vms.customers (project_id, id, full_name) values ('shop', 5, 'Olena')")
        await connection.execute("insert into vms.orders (project_id, id, customer_id) values ('shop', 1, 5)")
        await connection.execute("insert into vms.payments (project_id, order_id, amount) values ('shop', 1, 20)")
    await shop.execute("update vms.customers set note = 'regular'")
    await send(shop)
    assert shop.crm.books.objects.get("order") is None
    await shop.execute("delete from sync.mappings")
    await set_project(shop, vms='{"earlier_orders": true}')
    await shop.execute("update vms.customers set note = 'very regular'")
    await send(shop)
    await send(shop)
    assert (len(shop.crm.books.of("order")), len(shop.crm.books.of("payment"))) == (1, 1)


async def test_two_projects_are_sent_side_by_side(shop: World) -> None:
    await shop.add_project("other", key="k-other")
    await insert(shop, "customers", full_name="Olena")
    await insert(shop, "customers", full_name="Ihor", project_id="other")
    held = asyncio.Event()

    def hold(changes: Any) -> Any:
        if changes[0].data["full_name"] == "Olena":
            return held.wait()
        held.set()  # a slow CRM of one project does not keep the other waiting
        return None

    shop.crm.before_push = hold
    async with asyncio.timeout(20):
        assert (await send(shop)).sent == 2


async def test_what_else_a_push_sets_off_is_in_the_ledger_and_what_the_crm_makes_of_a_value_is_agreed_on(
    shop: World,
) -> None:
    await insert(shop, "orders", id=17)
    paid_at = datetime(2026, 3, 1, 8, 0, 30, 5, tzinfo=UTC)
    shop.crm.books.rounds = {"paid_at": paid_at.replace(second=0, microsecond=0), "amount": Decimal("50")}
    await insert(shop, "payments", id=3, order_id=17, amount=50, status="paid", paid_at=paid_at)
    await send(shop)
    order_id = next(iter(shop.crm.books.objects["order"]))
    ledger = await shop.rows("select * from sync.write_ledger where entity_type = 'order' order by ledger_id")
    assert [(row["entity_id"], bytes(row["fingerprint"]), row["fields"] == []) for row in ledger] == [
        (order_id, order_id.encode(), False), (order_id, b"paid", True),
    ]  # fmt: skip
    found = await mapping(shop, "payment", 3)
    assert (found["agreed_vms"]["paid_at"], found["agreed_crm"]["paid_at"]) == (
        "2026-03-01T08:00:30+00:00", "2026-03-01T08:00:00+00:00",
    )  # fmt: skip
    assert found["agreed_crm"]["amount"] == "50.00"


async def test_what_the_crm_cannot_have_is_told_once_and_tried_whole_when_it_changes(shop: World) -> None:
    shop.crm.books.cannot_have = "Make the product there first."
    await insert(shop, "articles", id=7, sku="A-1", price=10)
    assert (await send(shop)).skipped == 1
    await shop.execute("update vms.articles set price = 11")
    await send(shop)
    rows = await shop.rows("select state, message from sync.outbox order by outbox_id")
    assert [tuple(row.values()) for row in rows] == [("skipped", "Make the product there first.")] * 2
    assert (await mapping(shop, "article", 7))["crm_entity_id"] is None
    assert await shop.value("select count(*) from sync.integration_logs where level = 'warning'") == 1
    assert await shop.value("select count(*) from sync.dead_letters") == 0
    shop.crm.books.cannot_have = None
    await shop.execute("update vms.articles set price = 12")
    await send(shop)
    (article,) = shop.crm.books.of("article")
    assert (article["sku"], article["price"]) == ("A-1", Decimal("12.00"))
