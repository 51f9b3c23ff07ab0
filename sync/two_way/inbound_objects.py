"""Brings objects of one kind from the CRM into vms: find the counterpart, merge, check, write, keep what is agreed on.

All of it is in the caller's transaction, which has told vms that it is the sync's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from database.connection import Connection
from database.repositories import inbound_queue, ledger, mappings, outbox, vms_writing, wakes
from database.repositories.inbound_queue import Hold, Ref
from database.repositories.ledger import Written
from database.repositories.mappings import MappingRow
from sync.projects import Project
from sync.two_way import conflicts, inbound_find, inbound_write, vms_state
from sync.two_way.flags import Flags
from sync.two_way.inbound_events import Change
from sync.two_way.merge import Agreed, Plan, merge
from sync.two_way.objects import CrmObject, Entity, Value, VmsObject

DIRECTION = "inbound"
DELETED = "The CRM has deleted it: delete it in vms too, or make it anew at the CRM."
NOT_WHOLE = Hold("Only a part of it is known so far: the whole record is being read from the CRM.")
"""An object that vms does not have is made of the whole record, which is asked for by whoever told of a part."""


@dataclass(slots=True)
class Outcome:
    """What a portion came to. An object that is in none of `failed`, `put_back` and `held` is in step, or of no concern
    to vms."""

    made: int = 0
    changed: int = 0
    failed: dict[Ref, list[str]] = field(default_factory=dict)
    """Why nothing of it was written, one sentence each."""
    put_back: set[Ref] = field(default_factory=set)
    """Somebody is writing or sending it just now."""
    held: dict[Ref, Hold] = field(default_factory=dict)
    """What it needs is about to come."""
    changes: list[Change] = field(default_factory=list)
    """What was made or changed in vms, for those who listen."""

    def add(self, other: Outcome) -> None:
        self.made += other.made
        self.changed += other.changed
        for ref, reasons in other.failed.items():
            self.fail(ref, reasons)
        self.put_back |= other.put_back
        self.held |= other.held
        self.changes += other.changes

    def fail(self, ref: Ref, reasons: Sequence[str]) -> None:
        self.failed.setdefault(ref, []).extend(reasons)


@dataclass(frozen=True, slots=True)
class Task:
    """Objects of one kind to bring, and how."""

    entity: Entity
    items: Mapping[str, CrmObject]
    """By CRM id."""
    check: Callable[[CrmObject, Mapping[str, Value], bool], list[str] | Hold | None]
    """Object, what is to be written of it, whether vms does not have it yet -> reasons against it; None: not now."""
    ref: Callable[[CrmObject], Ref]
    orders: Mapping[str, int] = field(default_factory=dict)
    """Of payments: vms ids of their orders, by CRM id."""


@dataclass(frozen=True, slots=True)
class _Merged:
    item: CrmObject
    mapping: MappingRow
    plan: Plan
    is_first: bool
    """They have been linked just now."""


class Bringer:
    """For one project and one transaction."""

    def __init__(self, connection: Connection, project: Project, flags: Flags, outcome: Outcome) -> None:
        self._connection = connection
        self._project = project
        self._project_id = project.row.project_id
        self._flags = flags
        self._outcome = outcome

    async def bring(self, task: Task) -> dict[str, int]:
        """Bring them; vms ids of those that are in vms and not put back or refused, by CRM id."""
        if not task.items:
            return {}
        found = await inbound_find.counterparts(self._connection, self._project, task.entity, task.items)
        for crm_id, reason in found.wrong.items():
            self._outcome.fail(task.ref(task.items[crm_id]), [reason])
        here = found.vms_ids()
        waiting = found.waiting | await self._held(task, here)
        self._outcome.put_back |= {task.ref(task.items[crm_id]) for crm_id in waiting}
        here = {crm_id: vms_id for crm_id, vms_id in here.items() if crm_id not in waiting}
        stored = await vms_state.load(self._connection, self._project, task.entity, list(here.values()))
        merged = []
        for crm_id, vms_id in here.items():
            if vms_id not in stored:
                continue  # deleted in vms: it is not made again
            one = await self._merge(task, task.items[crm_id], stored[vms_id], found)
            if one is not None:
                merged.append(one)
        known = here.keys() | waiting | found.wrong.keys()
        new = []
        for crm_id, item in task.items.items():
            if crm_id in known or item.is_deleted:
                continue
            if not item.details.get("is_whole", True):
                self._outcome.held[task.ref(item)] = NOT_WHOLE
            elif self._is_sound(task, item, item.as_vms, is_new=True):
                new.append(item)
        in_step = {one.item.crm_id: one.mapping.vms_entity_id for one in merged}
        made = await inbound_write.insert(
            self._connection, self._project_id, task.entity, new, self._project.row.crm, task.orders
        )
        changed = {one.mapping.vms_entity_id: one.plan.to_vms for one in merged if one.plan.to_vms}
        await inbound_write.update(self._connection, self._project_id, task.entity, changed)
        written = await vms_state.load(self._connection, self._project, task.entity, [*made.values(), *changed])
        await self._keep_new(task, new, made, written)
        await self._keep_merged(task, merged, written)
        self._outcome.made += len(made)
        self._outcome.changed += len(changed)
        self._outcome.changes += [
            Change(crm_id, written[vms_id], written[vms_id].fields) for crm_id, vms_id in made.items()
        ]
        self._outcome.changes += [
            Change(one.item.crm_id, written[one.mapping.vms_entity_id], one.plan.to_vms)
            for one in merged
            if one.plan.to_vms
        ]
        return {**in_step, **made}

    async def _held(self, task: Task, here: Mapping[str, int]) -> set[str]:
        """CRM ids of objects that are being sent, or written in vms, just now. The others are locked."""
        if not here:
            return set()
        lanes = {
            crm_id: f"order:{task.orders.get(task.items[crm_id].details.get('order_id', ''))}"
            if task.entity == "payment"
            else f"{task.entity}:{vms_id}"
            for crm_id, vms_id in here.items()
        }
        sending = await inbound_queue.lanes_being_sent(self._connection, self._project_id, list(set(lanes.values())))
        free = await vms_writing.lock(self._connection, self._project_id, task.entity, set(here.values()))
        return {crm_id for crm_id, vms_id in here.items() if lanes[crm_id] in sending or vms_id not in free}

    async def _merge(self, task: Task, item: CrmObject, stored: VmsObject, found: inbound_find.Found) -> _Merged | None:
        """What is to be done with an object that vms has; None: nothing now."""
        mapping = found.linked.get(item.crm_id)
        is_first = mapping is None
        if mapping is None:
            mapping = await mappings.link(self._connection, self._project_id, task.entity, stored.vms_id, item.crm_id)
            if mapping is None:  # somebody has linked one of the two meanwhile
                self._outcome.put_back.add(task.ref(item))
                return None
        if item.is_deleted and task.entity == "customer":
            if mapping.sync_status != "error":
                await mappings.save_status(self._connection, self._project_id, mapping.mapping_id, "error", DELETED)
            return None
        plan = merge(Agreed.of(mapping), stored, item, self._project.row.conflict_policy, self._flags.skew)
        if not self._is_sound(task, item, self._to_check(plan, mapping, item), is_new=False):
            return None
        return _Merged(item, mapping, plan, is_first)

    @staticmethod
    def _to_check(plan: Plan, mapping: MappingRow, item: CrmObject) -> dict[str, Value]:
        """What is to be written; and a customer that the CRM has named anew, which means nothing in vms yet."""
        values = dict(plan.to_vms)
        customer = item.fields.get("customer")
        if customer is not None and "customer" not in item.as_vms and mapping.agreed_crm.get("customer") != customer:
            values["customer"] = None
        return values

    def _is_sound(self, task: Task, item: CrmObject, values: Mapping[str, Value], *, is_new: bool) -> bool:
        reasons = task.check(item, values, is_new)
        if reasons is None:
            self._outcome.put_back.add(task.ref(item))
        elif isinstance(reasons, Hold):
            self._outcome.held[task.ref(item)] = reasons
        elif reasons:
            self._outcome.fail(task.ref(item), reasons)
        return reasons == []

    async def _keep_new(
        self, task: Task, items: Sequence[CrmObject], made: Mapping[str, int], written: Mapping[int, VmsObject]
    ) -> None:
        await mappings.add_synced(
            self._connection, self._project_id, task.entity,
            [
                (made[item.crm_id], item.crm_id, written[made[item.crm_id]].fields, item.fields)
                for item in items
            ],
        )  # fmt: skip
        await ledger.add(
            self._connection, self._project_id,
            [
                Written("vms", task.entity, str(vms_id), "create", written[vms_id].fields)
                for vms_id in made.values()
            ],
        )  # fmt: skip

    async def _keep_merged(self, task: Task, merged: Sequence[_Merged], written: Mapping[int, VmsObject]) -> None:
        connection, project_id = self._connection, self._project_id
        await conflicts.record_all(connection, project_id, [(one.mapping, one.plan) for one in merged], actor=DIRECTION)
        changed = []
        wake: list[int] = []
        for one in merged:
            mapping, plan = one.mapping, one.plan
            vms_id = mapping.vms_entity_id
            # As vms keeps it, which may differ from what was written: a trigger fills in what is missing.
            values = {name: written[vms_id].fields[name] for name in plan.to_vms}
            await self._save(mapping, plan, {**plan.agreed.vms, **values})
            if values:
                changed.append(Written("vms", task.entity, str(vms_id), "update", values))
            if plan.to_crm and (one.is_first or any(dispute.winner == "vms" for dispute in plan.disputes)):
                wake.append(vms_id)
        await ledger.add(connection, project_id, changed)
        if wake and self._flags.sends(task.entity):
            await wakes.outbound(connection, project_id, task.entity, wake)
        linked = [one.mapping.vms_entity_id for one in merged if one.is_first]
        if linked and task.entity == "customer" and self._flags.earlier_orders:
            await outbox.enqueue_earlier_orders(connection, project_id, linked)

    async def _save(self, mapping: MappingRow, plan: Plan, agreed_vms: Mapping[str, Any]) -> None:
        """What is agreed on now; nothing, if that is as it was."""
        agreed_crm, overwritten = plan.agreed.crm, plan.agreed.overwritten
        before = (mapping.agreed_vms, mapping.agreed_crm, mapping.overwritten)
        is_same = before == (agreed_vms, agreed_crm, overwritten)
        if plan.to_crm or plan.undecided:
            if not is_same:
                await mappings.save_agreed(self._connection, mapping, agreed_vms, agreed_crm, overwritten)
        elif not is_same or mapping.sync_status != "synced":
            await mappings.save_synced(
                self._connection, mapping, crm_id=mapping.crm_entity_id, agreed_vms=agreed_vms, agreed_crm=agreed_crm,
                direction=DIRECTION, overwritten=overwritten,
            )  # fmt: skip
