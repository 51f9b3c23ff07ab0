"""CRM -> vms while the warehouse writes too: conflicts by each policy, objects that are being sent, echoes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from database.repositories import ledger
from database.repositories.ledger import Written
from sync.two_way import inbound
from tests.integration.two_way.inbound_world import apply, hook, land, letters, one, open_shop, put
from tests.support.shop_crm import shop_article, shop_customer, shop_order
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def both_sides(world: World, **project: Any) -> int:
    """An order that both sides have alike; its id in vms."""
    await open_shop(world, **project)
    await land(world, "customers", shop_customer("7", name="Anna"))
    await land(world, "orders", shop_order("17", customer="7", comment="as agreed", items=[{"name": "Cup"}]))
    await apply(world)
    return int(await world.value("select id from vms.orders"))


async def change_in_vms(world: World, at: float, **values: Any) -> None:
    """The warehouse changes the order, `at` minutes after a fixed time."""
    settings = ", ".join(f"{name} = %s" for name in values)
    await world.execute(f"update vms.orders set {settings}", *values.values())
    await world.execute("update sync.outbox set changed_at = %s", minute(at))


async def crm_says(world: World, at: float, **values: Any) -> None:
    given = {"customer": "7", "comment": "as agreed", "items": [{"name": "Cup"}], **values}
    await land(world, "orders", shop_order("17", at, **given))
    await apply(world)


@pytest.mark.parametrize(
    ("policy", "vms_at", "comment"),
    [
        ("newest", 5, "crm"),
        ("newest", 15, "vms"),
        ("newest", 10.05, "crm"),  # three seconds later: within what clocks differ by, as old as each other
        ("newest", 10.2, "vms"),
        ("crm", 15, "crm"),
        ("vms", 5, "vms"),
        ({"comment": "vms", "default": "crm"}, 5, "vms"),
        ({"status": "vms", "default": "crm"}, 15, "crm"),
    ],
)
async def test_the_policy_decides_what_both_sides_changed(
    world: World, policy: Any, vms_at: float, comment: str
) -> None:
    await both_sides(world, conflict_policy=policy)
    await change_in_vms(world, vms_at, comment="vms")
    await crm_says(world, 10, comment="crm")
    assert (await one(world, "select comment from vms.orders"))["comment"] == comment
    assert await world.value("select count(*) from sync.conflicts") == 0
    audit = await one(
        world, "select actor, action, after from config.audit_log where starts_with(object, 'conflict order')"
    )
    assert (audit["actor"], audit["after"]["winner"], audit["after"]["value"]) == ("inbound", comment, comment)
    states = [row["state"] for row in await world.rows("select state from sync.outbox")]
    assert states == ["waiting"]  # that of the warehouse's own change


async def test_manual_leaves_both_alone_and_keeps_both_versions_while_other_fields_go_on(world: World) -> None:
    vms_id = await both_sides(world, conflict_policy={"comment": "manual"})
    await change_in_vms(world, 5, comment="vms")
    await crm_says(world, 10, comment="crm", status="done")
    order = await one(world, "select comment, status from vms.orders")
    assert tuple(order.values()) == ("vms", "DELIVERED")
    conflict = await one(world, "select * from sync.conflicts")
    assert (conflict["state"], conflict["vms_entity_id"], conflict["crm_entity_id"]) == ("open", vms_id, "17")
    versions = conflict["fields"]["comment"]
    assert (versions["vms"], versions["crm"], versions["agreed_vms"]) == ("vms", "crm", "as agreed")
    await crm_says(world, 12, comment="vms", status="done")
    assert (await one(world, "select state, resolved_by from sync.conflicts")) == {
        "state": "resolved", "resolved_by": "settled",
    }  # fmt: skip


async def test_changes_of_different_fields_are_no_conflict(world: World) -> None:
    await both_sides(world, conflict_policy="manual")
    await change_in_vms(world, 5, comment="vms")
    await crm_says(world, 10, status="gone")
    order = await one(world, "select comment, status from vms.orders")
    assert tuple(order.values()) == ("vms", "SHIPPED")
    assert await world.value("select count(*) from sync.conflicts") == 0


async def test_an_object_that_is_being_sent_is_put_back_until_it_is_sent(world: World) -> None:
    await both_sides(world)
    await change_in_vms(world, 5, comment="vms")
    await world.execute("update sync.outbox set state = 'sending', claimed_by = 'me'")
    await land(world, "orders", shop_order("17", 10, customer="7", status="done", comment="as agreed"))
    await land(world, "customers", shop_customer("7", 10, name="Anna Maria"))
    applied = await apply(world)
    assert (applied.put_back, applied.changed) == (1, 1)
    assert (await one(world, "select status from vms.orders"))["status"] == "PENDING"
    assert (await one(world, "select full_name from vms.customers"))["full_name"] == "Anna Maria"
    waiting = await one(world, "select *, not_before - clock_timestamp() as wait from sync.inbound_queue")
    assert (waiting["entity_type"], waiting["crm_entity_id"]) == ("order", "17")
    assert waiting["wait"].total_seconds() <= inbound.PAUSE_SECONDS
    await world.execute("update sync.outbox set state = 'sent'")
    await world.execute("update sync.inbound_queue set not_before = clock_timestamp()")
    await apply(world)
    assert (await one(world, "select status from vms.orders"))["status"] == "DELIVERED"
    assert await world.value("select count(*) from sync.inbound_queue") == 0
    assert await letters(world) == []


@pytest.mark.parametrize("table", ["orders", "order_items"])
async def test_an_object_that_somebody_is_writing_is_put_back_and_holds_up_nobody(world: World, table: str) -> None:
    await both_sides(world)
    async with world.pool.connection() as connection, connection.transaction():
        await connection.execute(f"select from vms.{table} for update")
        await land(world, "orders", shop_order("17", 10, customer="7", status="done"), shop_order("18", customer="7"))
        applied = await apply(world)
        assert (applied.put_back, applied.made) == (1, 1)
    await world.execute("update sync.inbound_queue set not_before = clock_timestamp()")
    await apply(world)
    rows = await world.rows("select number, status from vms.orders order by number")
    assert [tuple(row.values()) for row in rows] == [("TOY-17", "DELIVERED"), ("TOY-18", "PENDING")]


async def test_a_customer_without_phone_and_e_mail_waits_while_one_is_being_made_at_the_crm(world: World) -> None:
    await open_shop(world)
    await world.execute("insert into vms.customers (project_id, full_name) values ('shop', 'Ours')")
    await world.execute("update sync.outbox set state = 'sending'")
    await land(world, "customers", shop_customer("7", name="Ours"), shop_customer("8", email="other@example.com"))
    await land(world, "orders", shop_order("17", customer="7"))
    applied = await apply(world)
    assert (applied.made, applied.put_back, applied.failed) == (1, 2, 0)  # the order waits for its customer


async def test_an_echo_of_our_own_write_changes_nothing_and_is_not_read_again(world: World) -> None:
    await both_sides(world)
    body = shop_order("17", 10, status="done", customer="7", marked=True)
    mark = hashlib.sha256(body.encode()).digest()
    await world.execute("update vms.orders set status = 'DELIVERED'")
    await world.execute(
        """
        update sync.mappings set agreed_vms = agreed_vms || '{"status": "DELIVERED"}',
            agreed_crm = agreed_crm || '{"status": "done"}' where entity_type = 'order'
        """
    )
    async with world.pool.connection() as connection, connection.transaction():
        await ledger.add(connection, "shop", [Written("crm", "order", "17", "update", {"status": "DELIVERED"}, mark)])
    before = await world.rows("select updated_at from vms.orders")
    written = await world.value("select count(*) from sync.write_ledger")
    await hook(world, body)
    await apply(world)
    assert await world.value("select count(*) from sync.requests") == 0
    assert await world.rows("select updated_at from vms.orders") == before
    assert await world.value("select count(*) from sync.write_ledger") == written
    await hook(world, shop_order("17", 11, status="off", customer="7", marked=True))
    assert await world.rows("select stream, crm_id from sync.requests") == [{"stream": "orders", "crm_id": "17"}]


async def test_a_hint_with_something_new_beside_an_echo_is_read_again(world: World) -> None:
    await both_sides(world)
    echo = await our_status(world)
    await hook(world, echo, shop_order("17", 11, status="off", customer="7", marked=True))
    assert await world.value("select count(*) from sync.requests") == 1


async def our_status(world: World) -> str:
    """Of an order that both sides have: what the CRM is to tell of it because of our own write, at minute 10."""
    echo = shop_order("17", 10, status="done", customer="7", marked=True)
    mark = hashlib.sha256(echo.encode()).digest()
    async with world.pool.connection() as connection, connection.transaction():
        await ledger.add(connection, "shop", [Written("crm", "order", "17", "update", {"status": "x"}, mark)])
    return echo


@pytest.mark.parametrize("is_in_core", [True, False], ids=["before it", "along with it"])
async def test_an_echo_hides_nothing_that_was_read_and_is_not_in_vms_yet(world: World, is_in_core: bool) -> None:
    await both_sides(world)
    echo = await our_status(world)
    read = shop_order("17", 9, customer="7", comment="theirs", items=[{"name": "Cup"}])
    await (land if is_in_core else put)(world, "orders", read)
    await hook(world, echo)
    assert await world.rows("select stream, crm_id, state from sync.requests") == [
        {"stream": "orders", "crm_id": "17", "state": "queued"}
    ]
    await crm_says(world, 10, status="done", comment="theirs")
    assert (await one(world, "select comment from vms.orders"))["comment"] == "theirs"


async def test_an_echo_hides_nothing_of_an_order_that_is_being_read(world: World) -> None:
    await both_sides(world)
    echo = await our_status(world)
    await world.execute(
        "insert into sync.requests (project_id, stream, crm_id, origin, state) "
        "values ('shop', 'orders', '17', 'webhook', 'running'), ('shop', 'orders', '18', 'webhook', 'running')"
    )
    await hook(world, echo)
    # What was asked for before our write is older than the echo, and will not count.
    await land(world, "orders", shop_order("17", 9, customer="7", comment="theirs", items=[{"name": "Cup"}]))
    assert await world.rows("select stream, crm_id from sync.requests where state = 'queued'") == [
        {"stream": "orders", "crm_id": "17"}
    ]
    await crm_says(world, 10, status="done", comment="theirs")
    assert (await one(world, "select comment from vms.orders"))["comment"] == "theirs"


async def test_what_core_has_not_heard_of_yet_does_not_undo_our_own_write(world: World) -> None:
    await both_sides(world)
    # We have sent a comment and lines; core still has the old ones when a webhook tells of a status.
    await world.execute("update vms.orders set comment = 'ours'")
    await world.execute("update sync.outbox set state = 'sent'")
    await world.execute(
        """
        update sync.mappings set agreed_vms = agreed_vms || '{"comment": "ours"}',
            agreed_crm = agreed_crm || '{"comment": "ours"}' where entity_type = 'order'
        """
    )
    async with world.pool.connection() as connection, connection.transaction():
        await ledger.add(connection, "shop", [Written("crm", "order", "17", "update", {"comment": "ours"})])
    await world.execute("insert into sync.inbound_queue (project_id, entity_type, crm_entity_id) "
                        "values ('shop', 'order', '17')")  # fmt: skip
    await apply(world)
    assert (await one(world, "select comment from vms.orders"))["comment"] == "ours"
    await hook(world, shop_order("17", 10, status="done", customer="7"))
    await apply(world)
    order = await one(world, "select status, comment from vms.orders")
    assert tuple(order.values()) == ("DELIVERED", "ours")
    await crm_says(world, 12, comment="theirs", status="done")
    assert (await one(world, "select comment from vms.orders"))["comment"] == "theirs"


async def test_a_stock_that_both_know_is_no_change_and_a_new_one_follows(world: World) -> None:
    await open_shop(world)
    await land(world, "articles", shop_article("31", sku="CUP", name="Cup", price="10", stock="5"))
    await apply(world)
    await land(world, "articles", shop_article("31", sku="CUP", name="Cup", price="10", stock="4.5"))
    await apply(world)
    assert str((await one(world, "select stock from vms.articles"))["stock"]) == "4.500"
    assert await world.value("select count(*) from sync.outbox") == 0
