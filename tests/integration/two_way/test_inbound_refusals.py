"""CRM -> vms: what is refused, with which reason, and how it heals."""

from __future__ import annotations

from typing import Any

import pytest

from sync import dead_letters, failed_records
from tests.integration.two_way.inbound_world import apply, land, letters, one, open_shop
from tests.support.shop_crm import shop_article, shop_customer, shop_order
from tests.support.world import World

pytestmark = pytest.mark.anyio

CUP = {"sku": "CUP", "name": "Cup"}


@pytest.fixture(autouse=True)
async def shop(world: World) -> None:
    await open_shop(world)
    await land(world, "customers", shop_customer("7", name="Anna"))
    await land(world, "articles", shop_article("31", price="10", **CUP))
    await apply(world)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"items": [CUP, {"sku": "NOPE", "name": "Unknown"}]},
            "The article NOPE is unknown: add it to vms, or have the CRM's articles read.",
        ),
        ({"total": "-5"}, "The order's sum is negative: -5.00."),
        ({"discount": "-5"}, "The order has a negative sum: its discount is -5.00."),
        ({"shipping_price": "-1"}, "The order has a negative sum: its shipping price is -1.00."),
        ({"items": [{**CUP, "price": "-3"}]}, "The price of line 1 (CUP) is negative: -3.00."),
        ({"items": [{**CUP, "quantity": "0"}]}, "The quantity of line 1 (CUP) is 0: it has to be above 0."),
        ({"items": [{"name": "Wrap", "quantity": "-2"}]}, "The quantity of line 1 (Wrap) is -2: it has to be above 0."),
        ({"customer": None}, "The order names no customer: name one at the CRM."),
        (
            {"customer": "404"},
            "The customer 404 of the order is not known: read it from the CRM, or see its own dead letter.",
        ),
        (
            {"status": "strange"},
            "The status strange has no counterpart in vms: name it in the project's `status_map`.",
        ),
        ({"status": None}, "The order has no status."),
    ],
)
async def test_an_order_that_vms_cannot_keep_is_a_dead_letter_and_the_rest_goes_on(
    world: World, values: dict[str, Any], reason: str
) -> None:
    bad = {"customer": "7", "items": [CUP], **values}
    await land(world, "orders", shop_order("17", **bad), shop_order("18", customer="7", items=[CUP]))
    applied = await apply(world)
    assert (applied.made, applied.failed) == (1, 1)
    assert [row["number"] for row in await world.rows("select number from vms.orders")] == ["TOY-18"]
    assert await letters(world) == [("order", "17", "open", reason)]
    assert await world.value("select count(*) from sync.mappings where crm_entity_id = '17'") == 0
    letter = await one(world, "select * from sync.dead_letters")
    assert (letter["direction"], letter["error_word"], letter["next_retry_at"] is not None) == (
        "inbound", "skip_row", True,
    )  # fmt: skip


async def test_several_reasons_are_told_together(world: World) -> None:
    await land(world, "orders", shop_order("17", customer=None, status="strange"))
    await apply(world)
    ((_, _, _, reason),) = await letters(world)
    assert reason == (
        "The order names no customer: name one at the CRM. The status strange has no counterpart in vms: name it in "
        "the project's `status_map`."
    )


@pytest.mark.parametrize(
    ("payment", "reason"),
    [
        ({"amount": "-10"}, "The amount of payment 1 is -10.00: it has to be above 0."),
        ({"amount": "10", "status": "dreamt"}, "The status dreamt of payment 1 is unknown."),
    ],
)
async def test_a_payment_that_vms_cannot_keep_does_not_hold_up_its_order(
    world: World, payment: dict[str, str], reason: str
) -> None:
    await land(
        world, "orders", shop_order("17", customer="7", payments=[{"id": 1, **payment}, {"id": 2, "amount": "5"}])
    )
    await apply(world)
    assert await letters(world) == [("order", "17", "open", reason)]
    assert [str(row["amount"]) for row in await world.rows("select amount from vms.payments")] == ["5.00"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"sku": "POT", "price": "-1"}, "The article has a negative number: its price is -1.00."),
        ({"sku": "POT", "stock": "-2"}, "The article has a negative number: its stock is -2."),
        ({"name": "Pot"}, "The article has no sku: give it one at the CRM."),
        ({"sku": "CUP"}, "The sku CUP is that of another article: a sku may be given once."),
    ],
)
async def test_an_article_that_vms_cannot_keep_is_a_dead_letter(
    world: World, values: dict[str, str], reason: str
) -> None:
    await land(world, "articles", shop_article("32", **values), shop_article("33", sku="PAN", name="Pan"))
    await apply(world)
    assert await letters(world) == [("article", "32", "open", reason)]
    assert [row["sku"] for row in await world.rows("select sku from vms.articles order by sku")] == ["CUP", "PAN"]


async def test_a_change_that_vms_cannot_keep_leaves_the_object_as_it_was(world: World) -> None:
    await land(world, "orders", shop_order("17", customer="7", items=[CUP], comment="one"))
    await apply(world)
    await land(world, "orders", shop_order("17", 5, customer="404", items=[CUP], comment="two", status="done"))
    await apply(world)
    order = await one(world, "select status, comment from vms.orders")
    assert (order["status"], order["comment"]) == ("PENDING", "one")
    assert [letter[1] for letter in await letters(world)] == ["17"]
    await land(world, "customers", shop_customer("404", name="Bob"))
    await land(world, "orders", shop_order("17", 6, customer="404", items=[CUP], comment="two", status="done"))
    await apply(world)
    order = await one(
        world, "select status, comment, full_name from vms.orders as o join vms.customers as c on c.id = o.customer_id"
    )
    assert tuple(order.values()) == ("DELIVERED", "two", "Bob")
    assert [letter[2] for letter in await letters(world)] == ["resolved"]


async def test_a_value_that_does_not_fit_stands_alone_with_its_reason(world: World) -> None:
    orders = [shop_order(str(number), customer="7", currency="UAH") for number in range(20, 30)]
    await land(world, "orders", *orders, shop_order("17", customer="7", currency="hryvnia"))
    applied = await apply(world)
    assert (applied.made, applied.failed) == (10, 1)
    ((_, crm_id, _, reason),) = await letters(world)
    assert crm_id == "17"
    assert reason.startswith("It does not fit into vms:")
    assert "orders_currency_check" in reason


async def test_it_is_tried_again_by_itself_and_heals(world: World) -> None:
    await land(world, "orders", shop_order("17", customer="7", items=[{"sku": "NOPE", "name": "New"}]))
    await apply(world)
    waits = []
    for _ in range(4):
        row = await one(world, "select *, next_retry_at - last_failed_at as wait from sync.dead_letters")
        waits.append((row["state"], None if row["wait"] is None else round(row["wait"].total_seconds())))
        await world.execute("update sync.dead_letters set next_retry_at = clock_timestamp() where state = 'open'")
        async with world.pool.connection() as connection:
            await failed_records.retry_due(connection)
        await apply(world)
    assert waits == [("open", 120), ("open", 240), ("open", 480), ("permanently_failed", None)]
    assert await world.value("select count(*) from sync.alerts") == 1
    await world.execute("insert into vms.articles (project_id, sku) values ('shop', 'NOPE')")
    result = await dead_letters.retry(world.pool, world.keyring, project_id="shop", lookup=world.lookup)
    assert (result.resolved, result.failed) == (1, 0)
    assert [letter[2] for letter in await letters(world)] == ["resolved"]
    assert (await one(world, "select number from vms.orders"))["number"] == "TOY-17"


async def test_an_unmapped_status_heals_when_the_settings_name_it(world: World) -> None:
    await land(world, "orders", shop_order("17", customer="7", status="strange"))
    await apply(world)
    await world.add_project(vms={"inbound": True}, status_map={"strange": "CONFIRMED"})
    await dead_letters.retry(world.pool, world.keyring, lookup=world.lookup)
    assert (await one(world, "select status from vms.orders"))["status"] == "CONFIRMED"


async def test_what_the_settings_say_of_a_status_goes_before_what_it_usually_means(world: World) -> None:
    await world.add_project(vms={"inbound": True}, status_map={"Packed up": "REFUNDED", "gone": "DELIVERED"})
    await land(world, "statuses", '{"id": "packed", "name": "Packed up"}', '{"id": "gone", "name": "Gone"}')
    statuses = ("packed", "gone", "new")
    await land(world, "orders", *(shop_order(name, customer="7", status=name) for name in statuses))
    await apply(world)
    rows = await world.rows("select number, status from vms.orders")
    assert {row["number"]: row["status"] for row in rows} == {
        "TOY-packed": "REFUNDED", "TOY-gone": "DELIVERED", "TOY-new": "PENDING",
    }  # fmt: skip


async def test_an_order_that_came_before_its_article_comes_in_with_it_and_waits_for_no_retry(world: World) -> None:
    await land(world, "orders", shop_order("17", customer="7", items=[{"sku": "POT", "name": "Pot", "quantity": "2"}]))
    await apply(world)
    assert [(kind, crm_id, state) for kind, crm_id, state, _ in await letters(world)] == [("order", "17", "open")]
    await land(world, "articles", shop_article("32", sku="POT", name="Pot", price="4"))
    await apply(world)
    assert [(kind, crm_id, state) for kind, crm_id, state, _ in await letters(world)] == [("order", "17", "resolved")]
    assert await world.value("select sum(quantity) from vms.order_items") == 2
