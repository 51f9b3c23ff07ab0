"""Compares both sides of a project portion by portion, and has the sync look at what differs.

A portion is done in one transaction, from a position that can be stored: after a kill the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from database.connection import Connection
from database.repositories import consistency, mappings, wakes
from database.repositories.mappings import MappingRow
from sync.projects import Project
from sync.two_way import crm_state, vms_state
from sync.two_way.flags import Flags, flags_of
from sync.two_way.merge import Agreed, Plan, Policy, merge
from sync.two_way.objects import CrmObject, Entity, VmsObject

PORTION = 500

Part = Literal["linked", "crm", "vms"]
PARTS: tuple[Part, ...] = ("linked", "crm", "vms")
"""Objects of both sides, then those that only the CRM has, then those that only vms has."""


@dataclass(slots=True)
class Found:
    """What a comparison found of one kind of object."""

    compared: int = 0
    """Objects that are linked and that both sides have."""
    differing: int = 0
    healed: int = 0
    """Of those: the winner is clear, and its change is under way."""
    disputed: int = 0
    """Of those: a person decides."""
    missing_at_crm: int = 0
    missing_in_vms: int = 0

    @property
    def share(self) -> float:
        """Of the compared ones, how many differ: 0 to 1."""
        return self.differing / self.compared if self.compared else 0.0

    def add(self, other: Found) -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True, slots=True)
class Position:
    """How far the walk over one kind of object is."""

    part: Part = "linked"
    after: str = ""
    """The last id that was looked at; empty: none yet."""

    def then(self, ids: Sequence[Any]) -> Position | None:
        """After these ids; None at the end of the walk."""
        if len(ids) == PORTION:
            return Position(self.part, str(ids[-1]))
        place = PARTS.index(self.part) + 1
        return Position(PARTS[place]) if place < len(PARTS) else None


@dataclass(frozen=True, slots=True)
class Difference:
    """In what an object differs; nothing of it: in nothing."""

    to_vms: bool = False
    to_crm: bool = False
    is_disputed: bool = False
    forgotten: frozenset[str] = frozenset()
    """What counts as agreed on and does not mean the same any more, because the settings translate statuses otherwise
    now: it is to be judged anew."""

    def __bool__(self) -> bool:
        return self.to_vms or self.to_crm or self.is_disputed or bool(self.forgotten)


def difference(mapping: MappingRow, vms: VmsObject, crm: CrmObject, policy: Policy, flags: Flags) -> Difference:
    """What a linked object's sides differ in."""
    plan = merge(Agreed.of(mapping), vms, crm, policy, flags.skew)
    return Difference(bool(plan.to_vms), bool(plan.to_crm), bool(plan.undecided), _forgotten(mapping, plan, vms, crm))


def _forgotten(mapping: MappingRow, plan: Plan, vms: VmsObject, crm: CrmObject) -> frozenset[str]:
    """Only an order's status: of other fields a CRM may well keep another form of what it was sent, and that is what
    was agreed on."""
    explained = {*plan.to_vms, *plan.to_crm, *mapping.ignored, *plan.agreed.overwritten}
    explained |= {dispute.field for dispute in plan.disputes}
    is_stale = (
        vms.entity == "order"
        and "status" not in explained
        and crm.as_vms.get("status", vms.fields["status"]) != vms.fields["status"]
    )
    return frozenset({"status"}) if is_stale else frozenset()


@dataclass(slots=True)
class _Wakes:
    out: list[int] = field(default_factory=list)
    into: list[str] = field(default_factory=list)
    forget: dict[int, frozenset[str]] = field(default_factory=dict)
    """vms id -> fields"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of one kind of object of a project. `everything`: also what only one side has, and what failed before, is sent to
    the other; else that is only counted."""

    project: Project
    entity: Entity
    everything: bool = False

    async def portion(self, connection: Connection, position: Position) -> tuple[Found, Position | None]:
        """Compare the next objects within the caller's transaction; what was found, and where to go on (None: done)."""
        match position.part:
            case "linked":
                return await self._linked(connection, position)
            case "crm":
                return await self._only_at_crm(connection, position)
            case "vms":
                return await self._only_in_vms(connection, position)

    async def total(self, connection: Connection) -> int:
        """How many objects the walk has, as far as can be told before it."""
        counts = await consistency.count_all(connection, self._project_id, self.entity)
        return sum(counts[part] for part in PARTS if part != "crm" or self._flags.inbound)

    @property
    def _project_id(self) -> str:
        return self.project.row.project_id

    @property
    def _flags(self) -> Flags:
        return flags_of(self.project.row)

    @property
    def _sends(self) -> bool:
        return self._flags.sends(self.entity) and not self._flags.dry_run

    async def _linked(self, connection: Connection, position: Position) -> tuple[Found, Position | None]:
        rows = await consistency.linked(connection, self._project_id, self.entity, int(position.after or 0), PORTION)
        here = await vms_state.load(connection, self.project, self.entity, [row.vms_entity_id for row in rows])
        crm_ids = [row.crm_entity_id for row in rows if row.crm_entity_id is not None]
        there = await crm_state.load(connection, self.project, self.entity, crm_ids)
        found, wake = Found(), _Wakes()
        for row in rows:
            vms, crm = here.get(row.vms_entity_id), there.get(row.crm_entity_id or "")
            if vms is None or crm is None or (crm.is_deleted and self.entity != "order"):
                found.missing_in_vms += vms is None
                found.missing_at_crm += vms is not None
            else:
                found.compared += 1
                self._judge(row, vms, crm, found, wake)
        await self._wake(connection, wake)
        return found, position.then([row.mapping_id for row in rows])

    def _judge(self, mapping: MappingRow, vms: VmsObject, crm: CrmObject, found: Found, wake: _Wakes) -> None:
        flags = self._flags
        difference_ = difference(mapping, vms, crm, self.project.row.conflict_policy, flags)
        if not difference_:
            return
        found.differing += 1
        found.disputed += difference_.is_disputed
        goes_out = self._sends and (self.everything or mapping.sync_status != "error")
        if difference_.forgotten and (goes_out or flags.inbound):
            wake.forget[mapping.vms_entity_id] = difference_.forgotten
        # What is disputed or forgotten is judged by whichever side is looked at.
        either = difference_.is_disputed or bool(difference_.forgotten)
        if goes_out and (difference_.to_crm or either):
            wake.out.append(mapping.vms_entity_id)
        if flags.inbound and (difference_.to_vms or either) and mapping.crm_entity_id is not None:
            wake.into.append(mapping.crm_entity_id)
        is_under_way = (goes_out or not difference_.to_crm) and (flags.inbound or not difference_.to_vms)
        if is_under_way and not difference_.is_disputed and (goes_out or flags.inbound):
            found.healed += 1

    async def _wake(self, connection: Connection, wake: _Wakes) -> None:
        project_id, entity = self._project_id, self.entity
        if wake.forget:
            locked = await mappings.by_vms_id(connection, project_id, entity, list(wake.forget), for_update=True)
            for vms_id, mapping in locked.items():
                kept = [
                    {name: value for name, value in agreed.items() if name not in wake.forget[vms_id]}
                    for agreed in (mapping.agreed_vms, mapping.agreed_crm)
                ]
                await mappings.save_agreed(connection, mapping, *kept)
        if wake.out:
            await wakes.outbound(connection, project_id, entity, wake.out)
        if wake.into and entity == "payment":
            found = await mappings.by_crm_id(connection, project_id, entity, wake.into)
            payment_ids = [mapping.vms_entity_id for mapping in found.values()]
            orders = await wakes.crm_orders_of_payments(connection, project_id, payment_ids)
            await wakes.inbound(connection, project_id, "order", orders)
        elif wake.into:
            await wakes.inbound(connection, project_id, entity, wake.into)

    async def _only_at_crm(self, connection: Connection, position: Position) -> tuple[Found, Position | None]:
        if not self._flags.inbound:
            return Found(), position.then([])
        project_id, entity = self._project_id, self.entity
        ids = await consistency.only_at_crm(connection, project_id, entity, position.after, PORTION)
        if ids and self.everything and entity == "payment":
            orders = await wakes.orders_of_crm_payments(connection, project_id, ids)
            await wakes.inbound(connection, project_id, "order", orders)
        elif ids and self.everything:
            await wakes.inbound(connection, project_id, entity, ids)
        return Found(missing_in_vms=len(ids)), position.then(ids)

    async def _only_in_vms(self, connection: Connection, position: Position) -> tuple[Found, Position | None]:
        if not self._flags.sends(self.entity):
            return Found(), position.then([])
        ids = await consistency.only_in_vms(
            connection, self._project_id, self.entity, int(position.after or 0), PORTION
        )
        if ids and self.everything and self._sends:
            await wakes.outbound(connection, self._project_id, self.entity, ids)
        return Found(missing_at_crm=len(ids)), position.then(ids)
