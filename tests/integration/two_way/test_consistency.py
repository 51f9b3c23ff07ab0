"""The comparison of both sides: what differs is counted, and looked at again where somebody wins."""

from __future__ import annotations

from typing import Any

import pytest
from sides import STATUS_MAP, add_customer, add_order, add_statuses, woken

from sync.two_way import comparison
from sync.two_way.consistency import EntityConsistency, check_project
from tests.support.world import World

pytestmark = pytest.mark.anyio

BOTH_WAYS = {"inbound": True}


@pytest.fixture
async def shop(world: World) -> World:
    await world.add_project(status_map=STATUS_MAP, vms=BOTH_WAYS)
    await add_statuses(world)
    return world


async def check(world: World, **arguments: Any) -> dict[str, dict[str, Any]]:
    results = await check_project(world.pool, "shop", lookup=world.lookup, **arguments)
    return {result.entity: result.as_row() for result in results}


async def test_sides_that_agree_differ_in_nothing_and_nothing_is_woken(shop: World) -> None:
    for number in range(3):
        await add_customer(shop, f"C-{number}", note="the same")
    found = await check(shop)
    assert found["customer"] == {
        "entity": "customer", "compared": 3, "differing": 0, "healed": 0, "disputed": 0, "missing_at_crm": 0,
        "missing_in_vms": 0, "share": 0.0,
    }  # fmt: skip
    assert await woken(shop) == ([], [])
    rows = await shop.rows("select * from sync.consistency_checks order by check_id")
    assert [(row["entity_type"], row["compared"], row["finished_at"] is None) for row in rows] == [
        ("customer", 3, False), ("article", 0, False), ("order", 0, False), ("payment", 0, False),
    ]  # fmt: skip


async def test_what_one_side_changed_unnoticed_is_sent_on_and_what_both_changed_is_for_the_policy(shop: World) -> None:
    ours = await add_customer(shop, "C-1", vms={"note": "new here"})
    await add_customer(shop, "C-2", crm={"note": "new there"})
    await shop.execute("update config.projects set conflict_policy = '\"manual\"'")
    both = await add_customer(shop, "C-3", vms={"note": "this"}, crm={"note": "that"})
    found = (await check(shop))["customer"]
    assert (found["compared"], found["differing"], found["healed"], found["disputed"]) == (3, 3, 2, 1)
    assert await woken(shop) == (
        [("customer", ours), ("customer", both)], [("customer", "C-2"), ("customer", "C-3")]
    )  # fmt: skip
    again = (await check(shop))["customer"]
    assert again == found
    assert len((await woken(shop))[0]) == 2  # what waits already is not put into the queue twice
    (warning,) = await shop.rows("select distinct message from sync.integration_logs where level = 'warning'")
    assert "customer: 3 of 3" in warning["message"]


async def test_parts_that_are_switched_off_are_not_healed_and_a_dry_run_sends_nothing(shop: World) -> None:
    await add_customer(shop, "C-1", vms={"note": "new here"})
    await add_customer(shop, "C-2", crm={"note": "new there"})
    for flags in ('{"outbound_customers": false, "inbound": false}', '{"dry_run": true, "inbound": false}'):
        await shop.execute("update config.projects set vms = %s", flags)
        found = (await check(shop))["customer"]
        assert (found["differing"], found["healed"]) == (2, 0)
    assert await woken(shop) == ([], [])


async def test_an_object_that_failed_for_good_waits_for_a_person(shop: World) -> None:
    await add_customer(shop, "C-1", vms={"note": "new here"})
    await shop.execute("update sync.mappings set sync_status = 'error', error_message = 'The CRM refuses the note.'")
    found = (await check(shop))["customer"]
    assert (found["differing"], found["healed"]) == (1, 0)
    assert await woken(shop) == ([], [])


async def test_what_one_side_alone_has_is_counted(shop: World) -> None:
    await add_customer(shop, "C-1")
    await add_customer(shop, "C-2")
    await add_customer(shop, "C-3")
    await shop.execute("delete from core.customers where customer_id = 'C-1'")
    await shop.execute("update core.customers set is_deleted = true where customer_id = 'C-2'")
    await shop.execute(
        "delete from vms.customers where id = (select vms_entity_id from sync.mappings where crm_entity_id = 'C-3')"
    )
    await shop.execute("insert into core.customers (project_id, customer_id) values ('shop', 'C-4'), ('shop', 'C-5')")
    await shop.execute("insert into vms.customers (project_id) values ('shop')")
    await shop.execute("delete from sync.outbox")
    found = (await check(shop))["customer"]
    assert (found["compared"], found["missing_at_crm"], found["missing_in_vms"]) == (0, 3, 3)
    assert await woken(shop) == ([], [])


async def test_a_status_that_the_settings_translate_otherwise_now_is_judged_anew(shop: World) -> None:
    order_id = await add_order(shop, "501", status="SHIPPED", crm_status="2", agreed=("SHIPPED", "2"))
    assert (await check(shop))["order"]["differing"] == 0
    await shop.execute("""update config.projects set status_map = '{"1": "PENDING", "2": "DELIVERED"}'""")
    found = (await check(shop))["order"]
    assert (found["differing"], found["healed"]) == (1, 1)
    assert await woken(shop) == ([("order", order_id)], [("order", "501")])
    agreed = await shop.value("select agreed_vms ? 'status' or agreed_crm ? 'status' from sync.mappings")
    assert agreed is False


async def test_another_form_that_the_crm_keeps_of_what_it_was_sent_is_no_difference(shop: World) -> None:
    await add_customer(shop, "C-1", note="by noon")
    await shop.execute("update core.customers set note = 'By noon.'")
    await shop.execute("""update sync.mappings set agreed_crm = agreed_crm || '{"note": "By noon."}'""")
    assert (await check(shop))["customer"]["differing"] == 0
    assert await woken(shop) == ([], [])


async def test_a_field_that_the_crm_cannot_take_is_no_difference(shop: World) -> None:
    await add_order(shop, "501", status="DELIVERED", crm_status="2", agreed=("DELIVERED", "2"))
    await shop.execute("""update sync.mappings set ignored = '{"status": "The CRM has no such status."}'""")
    assert (await check(shop))["order"]["differing"] == 0


async def test_every_object_is_compared_once_however_many_portions_it_takes(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "PORTION", 4)
    for number in range(8):
        await add_customer(shop, f"C-{number}", crm={"note": "new there"} if number % 2 else {})
    await shop.execute(
        "insert into core.customers (project_id, customer_id) select 'shop', 'D-' || n from generate_series(1, 9) as n"
    )
    seen: list[tuple[str, int, int]] = []
    found = (await check(shop, progress=lambda *state: seen.append(state)))["customer"]
    assert (found["compared"], found["differing"], found["missing_in_vms"]) == (8, 4, 9)
    assert [state for state in seen if state[0] == "customer"][-1] == ("customer", 17, 17)
    assert len((await woken(shop))[1]) == 4


async def test_another_projects_objects_are_not_touched(shop: World) -> None:
    await shop.add_project("other", vms=BOTH_WAYS)
    await add_customer(shop, "C-1", crm={"note": "new there"})
    results = await check_project(shop.pool, "other", lookup=shop.lookup)
    assert all(isinstance(result, EntityConsistency) and result.found.compared == 0 for result in results)
    assert await woken(shop) == ([], [])
