"""CRM -> vms: which object of vms an object of the CRM is."""

from __future__ import annotations

from typing import Any

import pytest

from database.repositories import mappings
from tests.integration.two_way.inbound_world import apply, hook, land, letters, link, one, open_shop, outbox
from tests.support.shop_crm import shop_article, shop_customer, shop_order
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def shop(world: World) -> None:
    await open_shop(world)


async def made_in_vms(world: World, table: str, **values: Any) -> int:
    """A row that the warehouse wrote and the CRM has had its chance to get."""
    names = ", ".join(["project_id", *values])
    marks = ", ".join(["%s"] * (len(values) + 1))
    vms_id = await world.value(
        f"insert into vms.{table} ({names}) values ({marks}) returning id", "shop", *values.values()
    )
    await world.execute("update sync.outbox set state = 'skipped'")
    return int(vms_id)


async def key_of(world: World, entity: str, vms_id: int) -> str:
    """The key with which the object was sent, though nobody heard the answer."""
    async with world.pool.connection() as connection, connection.transaction():
        return str((await mappings.ensure(connection, "shop", entity, [vms_id]))[vms_id].idempotency_key)


async def linked(world: World) -> dict[tuple[str, str], int]:
    rows = await world.rows("select * from sync.mappings where crm_entity_id is not null")
    return {(row["entity_type"], row["crm_entity_id"]): row["vms_entity_id"] for row in rows}


async def test_an_order_and_a_payment_of_ours_are_known_by_their_keys(world: World) -> None:
    customer = await made_in_vms(world, "customers", full_name="Ihor", phone="+380671234567")
    order = await made_in_vms(world, "orders", customer_id=customer, status="SHIPPED", number="A-1")
    payment = await made_in_vms(world, "payments", order_id=order, amount=50)
    paid_key = await key_of(world, "payment", payment)
    await land(
        world, "orders",
        shop_order(
            "17", key=await key_of(world, "order", order), status="gone", customer="7",
            buyer={"name": "Ihor", "phones": ["+380671234567"]},
            payments=[{"id": 1, "amount": "50", "status": "not_paid", "description": f" {paid_key.upper()} "}],
        ),
    )  # fmt: skip
    await apply(world)
    assert await linked(world) == {("customer", "7"): customer, ("order", "17"): order, ("payment", "1"): payment}
    assert await world.value("select count(*) from vms.orders") == 1
    assert await world.value("select count(*) from vms.payments") == 1
    assert (await one(world, "select number from vms.orders"))["number"] == "A-1"


async def test_a_webhooks_flat_row_is_enough_to_know_an_order_of_ours(world: World) -> None:
    order = await made_in_vms(world, "orders", number="A-1", comment="ring twice")
    await hook(world, shop_order("17", key=await key_of(world, "order", order), status="packed"))
    await apply(world)
    assert await linked(world) == {("order", "17"): order}
    # Both differ and were never agreed on: vms was changed later, so that the CRM is to follow.
    assert await one(world, "select status, comment from vms.orders") == {"status": "PENDING", "comment": "ring twice"}
    assert (await one(world, "select entity_type from sync.outbox where state = 'waiting'"))["entity_type"] == "order"


async def test_a_copy_of_an_order_made_at_the_crm_is_refused_with_the_reason(world: World) -> None:
    order = await made_in_vms(world, "orders", number="A-1")
    key = await key_of(world, "order", order)
    buyer = {"name": "Ihor", "phones": ["+380671234567"]}
    await land(world, "orders", shop_order("17", key=key, customer="7", buyer=buyer))
    await land(world, "orders", shop_order("18", key=key, customer="7", buyer=buyer))
    await apply(world)
    assert await linked(world) | {("customer", "7"): 0} == {("order", "17"): order, ("customer", "7"): 0}
    reason = (
        f"It has the key of order {order} of vms, which is 17 at the CRM: 18 is a copy of it, delete one of them there."
    )
    assert await letters(world) == [("order", "18", "open", reason)]


async def test_an_article_is_known_by_its_sku(world: World) -> None:
    cup = await made_in_vms(world, "articles", sku="CUP", name="Cup", price=10)
    await land(world, "articles", shop_article("31", sku="CUP", name="Cup", price="10"))
    await land(world, "articles", shop_article("32", sku="BOWL", name="Bowl", price="20"))
    await apply(world)
    found = await linked(world)
    assert found[("article", "31")] == cup
    bowl = await one(world, "select id, name from vms.articles where sku = 'BOWL'")
    assert (found[("article", "32")], bowl["name"]) == (bowl["id"], "Bowl")


@pytest.mark.parametrize(
    ("ours", "theirs", "is_same"),
    [
        ({"phone": "067 123-45-67"}, {"phones": ["+380671234567"]}, True),
        ({"phone": "+380671234567"}, {"phones": ["+380501112233", "067 1234567"]}, True),
        ({"email": "Ihor@Example.com"}, {"email": "ihor@example.com"}, True),
        ({"phone": "+380671234567", "email": "a@example.com"}, {"phones": ["+380671234567"], "email": "b@x.com"}, True),
        ({"phone": "+380671234568"}, {"phones": ["+380671234567"]}, False),
        ({"phone": "+48671234567"}, {"phones": ["+380671234567"]}, False),  # the same last digits of another country
        ({"full_name": "Ihor"}, {"name": "Ihor"}, False),
    ],
)
async def test_a_customer_is_known_by_phone_then_by_e_mail(
    world: World, ours: dict[str, Any], theirs: dict[str, Any], is_same: bool
) -> None:
    customer = await made_in_vms(world, "customers", **ours)
    await land(world, "customers", shop_customer("7", **theirs))
    await apply(world)
    assert ((await linked(world))[("customer", "7")] == customer) is is_same
    assert await world.value("select count(*) from vms.customers") == (1 if is_same else 2)


async def test_the_phone_goes_before_the_e_mail_and_a_linked_customer_is_taken_once(world: World) -> None:
    by_email = await made_in_vms(world, "customers", full_name="E", email="x@example.com")
    by_phone = await made_in_vms(world, "customers", full_name="P", phone="+380671234567")
    taken = await made_in_vms(world, "customers", full_name="T", phone="+380671234567")
    await link(world, "customer", taken, "99")
    both: dict[str, Any] = {"phones": ["+380671234567"], "email": "x@example.com"}
    await land(world, "customers", shop_customer("7", **both), shop_customer("8", **both), shop_customer("9", **both))
    await apply(world)
    found = await linked(world)
    assert (found[("customer", "7")], found[("customer", "8")]) == (by_phone, by_email)
    assert found[("customer", "9")] not in (by_email, by_phone, taken)


async def test_linked_objects_come_to_have_what_either_knew(world: World) -> None:
    await made_in_vms(world, "customers", full_name="Ihor", phone="+380671234567", segment="vip")
    await land(world, "customers", shop_customer("7", name="Ihor", phones=["+380671234567"], email="i@example.com"))
    await apply(world)
    customer = await one(world, "select * from vms.customers")
    assert (customer["email"], customer["segment"]) == ("i@example.com", "vip")
    waiting = await one(world, "select entity_type, vms_entity_id from sync.outbox where state = 'waiting'")
    assert waiting == {"entity_type": "customer", "vms_entity_id": customer["id"]}  # its segment goes out
    await apply(world)
    assert await outbox(world) == 2  # that of its making, and this one


async def test_an_order_brings_the_customer_and_articles_that_it_needs(world: World) -> None:
    await land(world, "articles", shop_article("31", sku="CUP", name="Cup", price="10"))
    await world.execute("delete from sync.inbound_queue")
    order = shop_order(
        "17", customer="7", buyer={"name": "Anna", "phones": ["+380501112233"]}, items=[{"sku": "CUP", "name": "Cup"}]
    )
    await land(world, "orders", order)
    await world.execute("delete from sync.inbound_queue where entity_type = 'customer'")
    await apply(world)
    found = await one(
        world,
        """
        select c.full_name, a.name from vms.orders as o
        join vms.customers as c on c.id = o.customer_id
        join vms.order_items as i on i.order_id = o.id
        join vms.articles as a on a.id = i.article_id
        """,
    )
    assert found == {"full_name": "Anna", "name": "Cup"}


async def test_what_was_deleted_in_vms_is_not_made_again(world: World) -> None:
    await land(world, "customers", shop_customer("7", name="Anna"))
    await land(world, "orders", shop_order("17", customer="7"))
    await apply(world)
    await world.execute("delete from vms.orders")
    await land(world, "orders", shop_order("17", 5, customer="7", status="done"))
    await apply(world)
    assert await world.rows("select * from vms.orders") == []
    assert await letters(world) == []


async def test_a_customer_deleted_at_the_crm_stays_in_vms_and_the_mapping_says_so(world: World) -> None:
    await land(world, "customers", shop_customer("7", name="Anna"), shop_customer("8", name="Bob", deleted=True))
    await apply(world)
    await land(world, "customers", shop_customer("7", 5, deleted=True))
    await apply(world)
    assert [row["full_name"] for row in await world.rows("select full_name from vms.customers")] == ["Anna"]
    mapping = await one(world, "select sync_status, error_message from sync.mappings")
    assert (mapping["sync_status"], mapping["error_message"]) == (
        "error", "The CRM has deleted it: delete it in vms too, or make it anew at the CRM.",
    )  # fmt: skip


async def test_a_number_that_the_warehouse_has_given_already_is_not_given_twice(world: World) -> None:
    await made_in_vms(world, "orders", number="TOY-17")
    await land(world, "customers", shop_customer("7", name="Anna"))
    await land(world, "orders", shop_order("17", customer="7"))
    await apply(world)
    rows = await world.rows("select id, number from vms.orders order by id")
    assert [row["number"] for row in rows] == ["TOY-17", f"TOY-17-{rows[1]['id']}"]


async def test_earlier_orders_of_a_newly_linked_customer_go_out_if_the_project_asks_for_it(world: World) -> None:
    await world.add_project(vms={"inbound": True, "earlier_orders": True})
    customer = await made_in_vms(world, "customers", full_name="Ihor", phone="+380671234567")
    order = await made_in_vms(world, "orders", customer_id=customer)
    await land(world, "customers", shop_customer("7", name="Ihor", phones=["+380671234567"]))
    await apply(world)
    waiting = await world.rows("select entity_type, vms_entity_id from sync.outbox where state = 'waiting'")
    assert waiting == [{"entity_type": "order", "vms_entity_id": order}]
