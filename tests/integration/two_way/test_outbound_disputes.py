"""What is sent when the CRM has changed too, and when core has not heard of our own write yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.vms_changes import insert, mapping, send, set_project, states
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def core_has(world: World, crm_id: str, status: str, comment: str | None, at: datetime) -> None:
    """A whole record of the order, as a pull brings it."""
    await world.execute(
        """
        insert into core.orders as o (
            project_id, order_id, status_id, manager_comment, has_items, source_updated_at, items_updated_at
        )
        values ('shop', %s, %s, %s, true, %s, %s)
        on conflict (project_id, order_id) do update set status_id = excluded.status_id,
            manager_comment = excluded.manager_comment, source_updated_at = excluded.source_updated_at,
            items_updated_at = excluded.items_updated_at, updated_at = clock_timestamp()
        """,
        crm_id, status, comment, at, at,
    )  # fmt: skip


async def linked_order(world: World) -> str:
    """Order 17, which both sides have, status 1 and without a comment; its id at the CRM."""
    await insert(world, "orders", id=17)
    await send(world)
    (crm_id,) = world.crm.books.objects["order"]
    await core_has(world, crm_id, "1", None, datetime.now(UTC) - timedelta(minutes=1))
    await world.execute("update core.orders set updated_at = clock_timestamp()")
    return crm_id


async def queued(world: World) -> list[tuple[str, str]]:
    rows = await world.rows("select entity_type, crm_entity_id from sync.inbound_queue order by queue_id")
    return [(row["entity_type"], row["crm_entity_id"]) for row in rows]


@pytest.mark.parametrize("policy", ["crm", "manual", "newest"])
async def test_what_core_has_from_before_our_own_write_is_no_change_of_the_crm(shop: World, policy: str) -> None:
    await set_project(shop, conflict_policy=f'"{policy}"')
    crm_id = await linked_order(shop)
    for number in range(3):
        await shop.execute("update vms.orders set comment = %s, status = %s", f"take {number}", "CONFIRMED")
        await send(shop)
    await shop.execute("update vms.orders set status = 'SHIPPED'")
    await send(shop)
    order = shop.crm.books.objects["order"][crm_id]
    assert (order["status"], order["comment"]) == ("3", "take 2")
    assert await shop.value("select count(*) from sync.conflicts") == 0
    assert await queued(shop) == []
    assert await shop.value("select count(*) from config.audit_log where object like 'conflict%%'") == 0


async def test_the_crm_wins_where_the_policy_says_so_and_the_rest_is_sent(shop: World) -> None:
    await set_project(shop, conflict_policy='{"status": "crm", "default": "newest"}')
    crm_id = await linked_order(shop)
    await core_has(shop, crm_id, "9", None, datetime.now(UTC))
    await shop.execute("update vms.orders set status = 'SHIPPED', comment = 'hurry'")
    await send(shop)
    order = shop.crm.books.objects["order"][crm_id]
    assert (order["status"], order["comment"]) == ("1", "hurry")  # the toy does not know that core saw a 9
    assert await queued(shop) == [("order", crm_id)]
    assert await shop.value("select status from vms.orders") == "SHIPPED"  # writing vms is the inbound flow's
    found = await mapping(shop, "order", 17)
    assert (found["agreed_vms"]["status"], found["agreed_crm"]["status"]) == ("PENDING", "1")
    assert found["agreed_vms"]["comment"] == "hurry"


async def test_vms_wins_where_the_policy_says_so(shop: World) -> None:
    await set_project(shop, conflict_policy='"vms"')
    crm_id = await linked_order(shop)
    await core_has(shop, crm_id, "9", None, datetime.now(UTC))
    await shop.execute("update vms.orders set status = 'SHIPPED'")
    await send(shop)
    assert shop.crm.books.objects["order"][crm_id]["status"] == "3"
    assert await shop.value("select count(*) from config.audit_log where object like 'conflict%%'") == 1


@pytest.mark.parametrize(("minutes", "sent"), [(-10, "3"), (10, "1")])
async def test_the_newer_change_wins_unless_told_otherwise(shop: World, minutes: int, sent: str) -> None:
    crm_id = await linked_order(shop)
    await core_has(shop, crm_id, "9", None, datetime.now(UTC) + timedelta(minutes=minutes))
    await shop.execute("update vms.orders set status = 'SHIPPED'")
    await send(shop)
    assert shop.crm.books.objects["order"][crm_id]["status"] == sent
    assert bool(await queued(shop)) == (sent == "1")


async def test_what_a_person_is_to_decide_is_left_alone_and_the_rest_is_sent(shop: World) -> None:
    await set_project(shop, conflict_policy='{"status": "manual"}')
    crm_id = await linked_order(shop)
    await core_has(shop, crm_id, "9", None, datetime.now(UTC))
    await shop.execute("update vms.orders set status = 'SHIPPED', comment = 'hurry'")
    await send(shop)
    order = shop.crm.books.objects["order"][crm_id]
    assert (order["status"], order["comment"]) == ("1", "hurry")
    (conflict,) = await shop.rows("select * from sync.conflicts")
    assert (conflict["state"], list(conflict["fields"])) == ("open", ["status"])
    assert (conflict["fields"]["status"]["vms"], conflict["fields"]["status"]["crm"]) == ("SHIPPED", "CANCELLED")
    assert (await mapping(shop, "order", 17))["sync_status"] == "pending"
    await shop.execute("update vms.orders set status = 'DELIVERED'")
    await send(shop)
    assert (await states(shop))[-1] == "skipped"
    assert shop.crm.books.objects["order"][crm_id]["status"] == "1"


async def test_a_project_that_takes_nothing_in_has_no_disputes(shop: World) -> None:
    await set_project(shop, vms='{"inbound": false}', conflict_policy='"crm"')
    crm_id = await linked_order(shop)
    await core_has(shop, crm_id, "9", None, datetime.now(UTC))
    await shop.execute("update vms.orders set status = 'SHIPPED'")
    await send(shop)
    assert shop.crm.books.objects["order"][crm_id]["status"] == "3"


async def test_a_failed_push_keeps_what_was_agreed_on(shop: World) -> None:
    await linked_order(shop)
    before: dict[str, Any] = await mapping(shop, "order", 17)
    shop.crm.books.trouble = "refuse"
    await shop.execute("update vms.orders set status = 'SHIPPED'")
    await send(shop)
    after = await mapping(shop, "order", 17)
    assert (after["agreed_vms"], after["agreed_crm"]) == (before["agreed_vms"], before["agreed_crm"])
    assert after["sync_status"] == "error"
