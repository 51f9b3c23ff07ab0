"""CRM -> vms: what comes in, what it is linked with, and what an echo does, which is nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sync.replay import replay_project
from tests.integration.two_way.inbound_world import apply, hook, land, letters, one, open_shop, outbox
from tests.support.shop_crm import shop_article, shop_customer, shop_order
from tests.support.toy_crm import minute, time_of
from tests.support.world import World

pytestmark = pytest.mark.anyio

ANNA: dict[str, Any] = {"name": "Анна", "phones": ["+380501112233"], "email": "anna@example.com"}
OF_VMS = "select count(*) from sync.stream_events where payload ? 'vms_id'"
"""Beside these there are those of core."""


@pytest.fixture(autouse=True)
async def shop(world: World) -> None:
    await open_shop(world)


async def a_full_order(world: World) -> None:
    await land(world, "customers", shop_customer("7", **ANNA, note="likes tea"))
    await land(world, "articles", shop_article("31", sku="CUP", name="Cup", price="120.50", stock="5"))
    await land(
        world, "orders",
        shop_order(
            "17", customer="7", status="packed", discount="15", shipping_price="60", currency="UAH", comment="by noon",
            items=[
                {"sku": "CUP", "name": "Cup", "quantity": "2", "price": "120.50", "discount": "5"},
                {"name": "Wrap", "price": "9"},
            ],
            payments=[{"id": 1, "amount": "100", "paid_at": minute(3)}],
            carrier="nova-post", tracking="TTN1", recipient="Olena", city="Kyiv", address="Street 1",
        ),
    )  # fmt: skip
    await apply(world)


async def test_an_order_comes_in_with_its_customer_lines_payments_and_delivery(world: World) -> None:
    await a_full_order(world)
    customer = await one(world, "select * from vms.customers")
    assert (customer["full_name"], customer["phone"], customer["email"], customer["note"]) == (
        "Анна", "+380501112233", "anna@example.com", "likes tea",
    )  # fmt: skip
    article = await one(world, "select * from vms.articles")
    assert (article["sku"], article["name"], article["price"], article["stock"], article["is_active"]) == (
        "CUP", "Cup", Decimal("120.50"), Decimal("5"), True,
    )  # fmt: skip
    order = await one(world, "select * from vms.orders")
    assert (order["number"], order["status"], order["customer_id"]) == ("TOY-17", "PROCESSING", customer["id"])
    assert (order["discount"], order["shipping_price"], order["comment"]) == (Decimal(10), Decimal(60), "by noon")
    assert order["total"] == Decimal("295.00")  # 2 x 120.50 - 5 + 9 - 10 + 60
    assert (order["payment_status"], order["currency"], order["ordered_at"]) == ("part_paid", "UAH", time_of(minute(0)))
    lines = await world.rows(
        "select sku, article_id, name, quantity, price, discount from vms.order_items order by sku nulls last"
    )
    assert [tuple(line.values()) for line in lines] == [
        ("CUP", article["id"], "Cup", Decimal(2), Decimal("120.50"), Decimal(5)),
        (None, None, "Wrap", Decimal(1), Decimal(9), Decimal(0)),
    ]
    payment = await one(world, "select * from vms.payments")
    assert (payment["order_id"], payment["amount"], payment["status"]) == (order["id"], Decimal(100), "paid")
    assert (payment["paid_at"], payment["currency"]) == (time_of(minute(3)), "UAH")
    shipment = await one(world, "select * from vms.shipments")
    assert (shipment["carrier"], shipment["tracking_number"], shipment["recipient"], shipment["address"]) == (
        "nova-post", "TTN1", "Olena", "Kyiv, Street 1",
    )  # fmt: skip
    assert await outbox(world) == 0
    assert await letters(world) == []
    mapped = await world.rows("select entity_type, crm_entity_id, sync_status from sync.mappings order by 1")
    assert [tuple(row.values()) for row in mapped] == [
        ("article", "31", "synced"), ("customer", "7", "synced"), ("order", "17", "synced"), ("payment", "1", "synced"),
    ]  # fmt: skip


async def test_each_change_at_the_crm_follows_and_leaves_the_rest_alone(world: World) -> None:
    await a_full_order(world)
    before = {row["name"]: row["id"] for row in await world.rows("select id, name from vms.order_items")}
    await land(world, "customers", shop_customer("7", 5, **{**ANNA, "email": "new@example.com"}))
    await land(world, "articles", shop_article("31", sku="CUP", name="Mug", price="130", stock="2"))
    await land(
        world, "orders",
        shop_order(
            "17", 5, customer="7", status="gone", discount="5", shipping_price="60", currency="UAH", comment="at noon",
            items=[
                {"sku": "CUP", "name": "Cup", "quantity": "3", "price": "120.50", "discount": "5"},
                {"name": "Bow", "price": "4"},
            ],
            payments=[{"id": 1, "amount": "100", "status": "canceled", "paid_at": minute(3)},
                      {"id": 2, "amount": "416.50", "paid_at": minute(5)}],
            carrier="nova-post", tracking="TTN2", recipient="Olena", city="Kyiv", address="Street 1",
        ),
    )  # fmt: skip
    await apply(world)
    customer = await one(world, "select * from vms.customers")
    assert (customer["email"], customer["note"], customer["phone"]) == ("new@example.com", None, "+380501112233")
    article = await one(world, "select * from vms.articles")
    assert (article["name"], article["price"], article["stock"]) == ("Mug", Decimal(130), Decimal(2))
    order = await one(world, "select * from vms.orders")
    assert (order["status"], order["comment"], order["discount"]) == ("SHIPPED", "at noon", Decimal(0))
    assert (order["total"], order["payment_status"]) == (Decimal("420.50"), "part_paid")  # 361.50 - 5 + 4 + 60
    lines = {row["name"]: row for row in await world.rows("select * from vms.order_items")}
    assert lines.keys() == {"Cup", "Bow"}
    assert (lines["Cup"]["id"], lines["Cup"]["quantity"]) == (before["Cup"], Decimal(3))
    payments = await world.rows("select amount, status from vms.payments order by id")
    assert [tuple(row.values()) for row in payments] == [(Decimal(100), "cancelled"), (Decimal("416.50"), "paid")]
    assert (await one(world, "select tracking_number, address from vms.shipments")) == {
        "tracking_number": "TTN2", "address": "Kyiv, Street 1",
    }  # fmt: skip
    assert await outbox(world) == 0


async def test_a_webhooks_flat_row_brings_the_status_at_once_and_touches_nothing_else(world: World) -> None:
    await a_full_order(world)
    await hook(world, shop_order("17", 6, status="done", customer="7"))
    await apply(world)
    order = await one(world, "select * from vms.orders")
    assert (order["status"], order["comment"], order["discount"]) == ("DELIVERED", "by noon", Decimal(10))
    assert await world.value("select count(*) from vms.order_items") == 2
    assert (await one(world, "select tracking_number from vms.shipments"))["tracking_number"] == "TTN1"


async def test_an_order_that_only_a_webhook_has_told_of_waits_for_the_whole_record(world: World) -> None:
    await land(world, "customers", shop_customer("7", **ANNA))
    await hook(world, shop_order("18", 1, customer="7"))
    await apply(world)
    assert await world.rows("select * from vms.orders") == []
    assert await letters(world) == []
    await land(world, "orders", shop_order("18", 1, customer="7", items=[{"name": "Wrap"}]))
    await apply(world)
    assert (await one(world, "select number from vms.orders"))["number"] == "TOY-18"


@pytest.mark.parametrize("gone", ["deleted", "cancelled"])
async def test_an_order_cancelled_or_deleted_at_the_crm_is_cancelled(world: World, gone: str) -> None:
    await a_full_order(world)
    change: dict[str, Any] = {"deleted": True} if gone == "deleted" else {"status": "off"}
    await hook(world, shop_order("17", 6, **{"status": "packed", **change}))
    await apply(world)
    assert (await one(world, "select status from vms.orders"))["status"] == "CANCELLED"
    assert await world.value("select count(*) from vms.order_items") == 2


async def test_a_payment_that_is_gone_from_its_order_is_cancelled(world: World) -> None:
    await a_full_order(world)
    await land(world, "orders", shop_order("17", 6, status="packed", customer="7", items=[], payments=[]))
    await apply(world)
    assert (await one(world, "select status from vms.payments"))["status"] == "cancelled"


async def test_what_is_known_already_changes_nothing_and_asks_nothing(world: World) -> None:
    await a_full_order(world)
    before = await state_of_vms(world)
    ledger = await world.value("select count(*) from sync.write_ledger")
    events = await world.value(OF_VMS)
    await a_full_order(world)
    assert await state_of_vms(world) == before
    assert await world.value("select count(*) from sync.write_ledger") == ledger
    assert await world.value(OF_VMS) == events
    assert await world.value("select count(*) from sync.requests") == 0
    assert await outbox(world) == 0


async def state_of_vms(world: World) -> list[list[dict[str, object]]]:
    """Every row with its time of change, and what is agreed on."""
    names = ("customers", "articles", "orders", "order_items", "payments", "shipments")
    found = [await world.rows(f"select * from vms.{name} order by id") for name in names]
    return [*found, await world.rows("select * from sync.mappings order by mapping_id")]


async def test_listeners_are_told_of_each_change_without_personal_data(world: World) -> None:
    await a_full_order(world)
    rows = await world.rows(
        "select kind, entity_id, origin, payload from sync.stream_events where payload ? 'vms_id' order by event_id"
    )
    assert [(row["kind"], row["entity_id"], row["origin"]) for row in rows] == [
        ("buyer", "7", "crm"), ("stock", "31", "crm"), ("order", "17", "crm"), ("payment", "1", "crm"),
    ]  # fmt: skip
    assert rows[2]["payload"] | {"vms_id": 0, "changed": []} == {
        "vms_id": 0, "changed": [], "number": "TOY-17", "status": "PROCESSING", "payment_status": "part_paid",
        "total": "295.00", "currency": "UAH", "order_id": "17", "status_id": "packed", "status_name": None,
        "status_group_id": None, "customer_id": "7", "grand_total": None, "payments_total": None, "is_deleted": False,
        "order_created_at": "2026-03-01T08:00:00Z", "changed_at": "2026-03-01T08:00:00Z",
    }  # fmt: skip
    assert (rows[3]["payload"]["amount"], rows[3]["payload"]["status"]) == ("100.00", "paid")
    told = str(rows)
    for personal in ("Анна", "anna@", "+380", "Olena"):
        assert personal not in told


async def test_without_the_flag_nothing_comes_in(world: World) -> None:
    await world.add_project(vms={"inbound": False})
    await a_full_order(world)
    assert await world.value("select count(*) from sync.inbound_queue") == 0
    assert await world.rows("select * from vms.orders") == []


async def test_a_replay_of_core_brings_nothing_into_vms_again(world: World) -> None:
    await a_full_order(world)
    await replay_project(world.pool, "shop", lookup=world.lookup)
    assert await world.value("select count(*) from sync.inbound_queue") == 0
