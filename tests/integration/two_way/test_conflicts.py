"""Conflicts: kept until somebody decides, and what is decided stands in the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database.repositories import mappings
from database.repositories.mappings import MappingRow
from sync.two_way import conflicts
from sync.two_way.conflicts import ConflictError
from sync.two_way.merge import Agreed, Plan, Policy, merge
from sync.two_way.objects import CrmObject, VmsObject
from tests.support.world import World

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def customer(**values: Any) -> dict[str, Any]:
    return {"full_name": "Olena", "phone": "+380671112233", "email": None, "segment": None, "note": None, **values}


async def link(world: World, agreed: dict[str, Any]) -> MappingRow:
    """A customer of vms that is `C-1` at the CRM, both as `agreed`."""
    vms_id = await world.value(
        "insert into vms.customers (project_id, full_name) values ('shop', 'Olena') returning id"
    )
    await world.execute("delete from sync.outbox")
    async with world.pool.connection() as connection:
        mapping = await mappings.link(connection, "shop", "customer", vms_id, "C-1")
        assert mapping is not None
        await mappings.save_synced(
            connection, mapping, crm_id="C-1", agreed_vms=agreed, agreed_crm=agreed, direction="inbound"
        )
    return await reload(world, vms_id)


async def reload(world: World, vms_id: int) -> MappingRow:
    async with world.pool.connection() as connection:
        return (await mappings.by_vms_id(connection, "shop", "customer", [vms_id]))[vms_id]


def plan_of(mapping: MappingRow, vms: dict[str, Any], crm: dict[str, Any], policy: Policy = "manual") -> Plan:
    ours = VmsObject("customer", mapping.vms_entity_id, vms, updated_at=NOON)
    theirs = CrmObject("customer", "C-1", crm, crm, changed_at=NOON + timedelta(minutes=1))
    return merge(Agreed.of(mapping), ours, theirs, policy, timedelta(seconds=5))


async def record(world: World, mapping: MappingRow, plan: Plan) -> None:
    async with world.pool.connection() as connection, connection.transaction():
        await conflicts.record(connection, "shop", mapping, plan, actor="inbound")


async def log(world: World) -> list[tuple[Any, ...]]:
    rows = await world.rows("select * from config.audit_log where starts_with(object, 'conflict ') order by audit_id")
    return [(row["actor"], row["object"].split()[-1], row["before"], row["after"]) for row in rows]


async def test_a_disputed_field_is_one_open_conflict_with_both_versions_until_it_is_decided(world: World) -> None:
    mapping = await link(world, customer())
    plan = plan_of(mapping, customer(note="ours"), customer(note="theirs"))
    await record(world, mapping, plan)
    await record(world, mapping, plan)  # whoever looks again sees the same
    (row,) = await world.rows("select * from sync.conflicts")
    assert (row["state"], row["crm_entity_id"]) == ("open", "C-1")
    assert row["fields"] == {
        "note": {
            "vms": "ours", "crm": "theirs", "crm_own": "theirs", "agreed_vms": None, "agreed_crm": None,
            "vms_changed_at": "2026-03-01T12:00:00+00:00", "crm_changed_at": "2026-03-01T12:01:00+00:00",
        }
    }  # fmt: skip
    (alert,) = await world.rows("select * from sync.alerts")
    assert f"crm-elt conflicts resolve {row['conflict_id']}" in alert["message"]
    assert "theirs" not in alert["message"]
    assert await log(world) == []


async def test_an_open_conflict_follows_what_the_sides_have_and_is_settled_when_they_agree(world: World) -> None:
    mapping = await link(world, customer())
    await record(world, mapping, plan_of(mapping, customer(note="a", phone=None), customer(note="b", phone="+1")))
    await record(world, mapping, plan_of(mapping, customer(note="a"), customer(note="c")))
    (row,) = await world.rows("select * from sync.conflicts")
    assert list(row["fields"]) == ["note"]
    assert row["fields"]["note"]["crm"] == "c"
    await record(world, mapping, plan_of(mapping, customer(note="same"), customer(note="same")))
    (row,) = await world.rows("select * from sync.conflicts")
    assert (row["state"], row["resolved_by"], row["resolution"]) == ("resolved", "settled", {})
    assert await world.value("select count(*) from sync.alerts where resolved_at is null") == 0
    assert [(actor, field) for actor, field, *_ in await log(world)] == [("settled", "phone"), ("settled", "note")]


async def test_a_conflict_stays_while_the_crm_does_not_tell_its_field_and_the_field_is_not_sent(world: World) -> None:
    mapping = await link(world, customer())
    ours, theirs = customer(note="ours"), customer(note="theirs")
    await record(world, mapping, plan_of(mapping, ours, theirs))
    mapping = await reload(world, mapping.vms_entity_id)
    assert mapping.disputed == ["note"]
    del theirs["note"]
    plan = plan_of(mapping, ours, theirs)
    assert plan.to_crm == set()
    await record(world, mapping, plan)
    (row,) = await world.rows("select * from sync.conflicts")
    assert (row["state"], row["fields"]["note"]["crm"]) == ("open", "theirs")
    await conflicts.resolve(world.pool, row["conflict_id"], "vms", "anna")
    mapping = await reload(world, mapping.vms_entity_id)
    assert mapping.disputed == []
    assert plan_of(mapping, ours, theirs).to_crm == {"note"}


async def test_what_a_policy_decides_is_in_the_audit_log_once_for_each_time_it_happens(world: World) -> None:
    mapping = await link(world, customer())
    plan = plan_of(mapping, customer(note="ours"), customer(note="theirs"), {"note": "vms"})
    for _ in range(3):  # sending it failed twice
        await record(world, mapping, plan)
    entry = (
        "inbound", "note",
        {"vms": "ours", "crm": "theirs", "agreed_vms": None, "agreed_crm": None},
        {"winner": "vms", "policy": "vms", "value": "ours"},
    )  # fmt: skip
    assert await log(world) == [entry]
    async with world.pool.connection() as connection:
        await mappings.save_synced(connection, mapping, crm_id=None, agreed_vms={}, agreed_crm={}, direction="outbound")
    await record(world, await reload(world, mapping.vms_entity_id), plan)
    assert await log(world) == [entry, entry]
    assert await world.value("select count(*) from sync.conflicts") == 0


@pytest.mark.parametrize(("side", "to_vms", "to_crm"), [("crm", {"note": "theirs"}, set()), ("vms", {}, {"note"})])
async def test_the_side_that_a_person_chose_is_followed_by_the_other(
    world: World, side: Any, to_vms: dict[str, Any], to_crm: set[str]
) -> None:
    mapping = await link(world, customer())
    ours, theirs = customer(note="ours"), customer(note="theirs")
    await record(world, mapping, plan_of(mapping, ours, theirs))
    conflict_id = await world.value("select conflict_id from sync.conflicts")
    done = await conflicts.resolve(world.pool, conflict_id, side, "anna")
    assert (done.state, done.resolution, done.resolved_by) == ("resolved", {"note": side}, "anna")
    plan = plan_of(await reload(world, mapping.vms_entity_id), ours, theirs)
    assert (dict(plan.to_vms), set(plan.to_crm), list(plan.disputes)) == (to_vms, to_crm, [])
    outbox = await world.rows("select entity_type, lane, state from sync.outbox")
    inbound = await world.rows("select entity_type, crm_entity_id from sync.inbound_queue")
    lane = f"customer:{mapping.vms_entity_id}"
    assert outbox == ([{"entity_type": "customer", "lane": lane, "state": "waiting"}] if side == "vms" else [])
    assert inbound == ([{"entity_type": "customer", "crm_entity_id": "C-1"}] if side == "crm" else [])
    ((actor, field, before, after),) = await log(world)
    assert (actor, field, before["vms"], before["crm"]) == ("anna", "note", "ours", "theirs")
    assert after == {"winner": side, "policy": "manual", "value": {"vms": "ours", "crm": "theirs"}[side]}
    assert await world.value("select count(*) from sync.alerts where resolved_at is null") == 0
    with pytest.raises(ConflictError, match="There is no open conflict"):
        await conflicts.resolve(world.pool, conflict_id, side, "anna")


async def test_fields_may_be_decided_one_by_one(world: World) -> None:
    mapping = await link(world, customer())
    ours, theirs = customer(note="ours", segment="vip"), customer(note="theirs", segment="new")
    await record(world, mapping, plan_of(mapping, ours, theirs))
    conflict_id = await world.value("select conflict_id from sync.conflicts")
    with pytest.raises(ConflictError, match="is about note, segment, not phone"):
        await conflicts.resolve(world.pool, conflict_id, {"phone": "vms"}, "anna")
    half = await conflicts.resolve(world.pool, conflict_id, {"note": "vms"}, "anna")
    assert (half.state, list(half.fields), half.resolution) == ("open", ["segment"], {"note": "vms"})
    again = plan_of(await reload(world, mapping.vms_entity_id), ours, theirs)
    assert again.to_crm == {"note"}
    assert [dispute.field for dispute in again.undecided] == ["segment"]
    await record(world, await reload(world, mapping.vms_entity_id), again)
    done = await conflicts.resolve(world.pool, conflict_id, {"segment": "crm"}, "ihor")
    assert (done.state, done.resolution) == ("resolved", {"note": "vms", "segment": "crm"})


async def test_a_side_that_changed_after_the_decision_is_disputed_anew(world: World) -> None:
    mapping = await link(world, customer())
    await record(world, mapping, plan_of(mapping, customer(note="ours"), customer(note="theirs")))
    await conflicts.resolve(world.pool, await world.value("select conflict_id from sync.conflicts"), "crm", "anna")
    newer = plan_of(await reload(world, mapping.vms_entity_id), customer(note="newer"), customer(note="theirs"))
    assert [dispute.field for dispute in newer.undecided] == ["note"]


async def test_a_decided_payment_goes_in_with_its_order_and_out_in_its_orders_lane(world: World) -> None:
    order_id = await world.value("insert into vms.orders (project_id) values ('shop') returning id")
    payment_id = await world.value(
        "insert into vms.payments (project_id, order_id, amount) values ('shop', %s, 10) returning id", order_id
    )
    await world.execute("delete from sync.outbox")
    async with world.pool.connection() as connection:
        await mappings.link(connection, "shop", "order", order_id, "501")
        mapping = await mappings.link(connection, "shop", "payment", payment_id, "P-1")
    assert mapping is not None
    fields = {"amount": "10.00", "method": None, "status": "paid", "paid_at": None}
    ours = VmsObject("payment", payment_id, {**fields, "method": "cash", "amount": "10.00"})
    theirs = {**fields, "method": "card", "amount": "11.00"}
    plan = merge(Agreed(), ours, CrmObject("payment", "P-1", theirs, theirs), "manual", timedelta())
    await record(world, mapping, plan)
    conflict_id = await world.value("select conflict_id from sync.conflicts")
    await conflicts.resolve(world.pool, conflict_id, {"method": "vms", "amount": "crm"}, "anna")
    assert await world.rows("select entity_type, vms_entity_id, lane from sync.outbox") == [
        {"entity_type": "payment", "vms_entity_id": payment_id, "lane": f"order:{order_id}"}
    ]
    assert await world.rows("select entity_type, crm_entity_id from sync.inbound_queue") == [
        {"entity_type": "order", "crm_entity_id": "501"}
    ]
