"""Fields that both sides changed: what a policy decided is noted, what a person is to decide is kept until then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from database.connection import Connection, Pool
from database.repositories import alerts, audit, conflicts, logs, mappings, wakes
from database.repositories.conflicts import ConflictRow
from database.repositories.mappings import MappingRow
from sync.two_way.merge import Dispute, Plan
from sync.two_way.objects import Side

SETTLED = "settled"
"""Who resolved a conflict whose sides came to agree."""
ALERT = "conflict"

Decisions = Side | Mapping[str, Side]
"""The side that wins in every field of a conflict, or in each that is named."""


class ConflictError(Exception):
    """A conflict cannot be resolved like that; the message is a sentence for the user."""


class StaleConflictError(ConflictError):
    """It is not any more what the decision was made on."""


async def record(connection: Connection, project_id: str, mapping: MappingRow, plan: Plan, *, actor: str) -> None:
    """Keep what a merge found disputed, within the caller's transaction, which holds the mapping's lock.

    `mapping` as it was before the merge; `actor`: outbound or inbound. Call it after every merge, not only after those
    with disputes: a conflict whose sides have come to agree is closed by it.
    """
    await record_all(connection, project_id, [(mapping, plan)], actor=actor)


async def record_all(
    connection: Connection, project_id: str, planned: Sequence[tuple[MappingRow, Plan]], *, actor: str
) -> None:
    """`record` for many objects, with one query where nothing is disputed."""
    by_entity: dict[str, list[tuple[MappingRow, Plan]]] = {}
    for mapping, plan in planned:
        by_entity.setdefault(mapping.entity_type, []).append((mapping, plan))
    for entity, group in by_entity.items():
        opened = await conflicts.open_of(
            connection, project_id, entity, [mapping.vms_entity_id for mapping, _ in group]
        )
        for mapping, plan in group:
            for dispute in plan.disputes:
                if dispute.winner is not None:
                    await _note(connection, mapping, dispute, actor)
            await _keep(connection, mapping, plan, opened.get(mapping.vms_entity_id))


async def resolve(pool: Pool, conflict_id: int, decisions: Decisions, actor: str) -> ConflictRow:
    """Decide a conflict, or some of its fields; both sides follow as soon as the sync gets to it. The conflict as it is
    now. Raises ConflictError.

    What is decided on are the versions that the conflict shows: if a side has changed since, it is disputed anew.
    """
    async with pool.connection() as connection:
        return await resolve_seen(connection, conflict_id, decisions, actor)


def version(conflict: ConflictRow) -> str:
    """Changes whenever the values do that a person decides between."""
    seen = {
        name: [versions.get(side) for side in ("vms", "crm", "crm_own")] for name, versions in conflict.fields.items()
    }
    return hashlib.sha256(msgspec.json.encode(seen, order="deterministic")).hexdigest()[:16]


async def resolve_seen(
    connection: Connection, conflict_id: int, decisions: Decisions, actor: str, *, seen: str | None = None
) -> ConflictRow:
    """`resolve` on one connection. `seen`: the `version` that the decision was made on; StaleConflictError if it is
    another by now."""
    async with connection.transaction():
        conflict = await conflicts.get(connection, conflict_id)
        if conflict is None or conflict.state != "open":
            raise ConflictError(f"There is no open conflict {conflict_id}: see `crm-elt conflicts list`.")
        project_id, entity, vms_id = conflict.project_id, conflict.entity_type, conflict.vms_entity_id
        # The mapping first, as the flows do it, so that none of us waits for the other for ever.
        found = await mappings.by_vms_id(connection, project_id, entity, [vms_id], for_update=True)
        conflict = await conflicts.get(connection, conflict_id, for_update=True)
        if conflict is None or conflict.state != "open":
            raise StaleConflictError(f"Conflict {conflict_id} has just been resolved by somebody else.")
        if seen is not None and seen != version(conflict):
            raise StaleConflictError(
                f"Conflict {conflict_id} has changed since you looked at it: see what both sides have now, and decide "
                "again."
            )
        mapping = found.get(vms_id)
        if mapping is None:
            raise ConflictError(f"{entity} {vms_id} is no longer linked with the CRM, so there is nothing to resolve.")
        decided = _decided(conflict, decisions)
        await _agree(connection, mapping, conflict, decided)
        for name, side in decided.items():
            versions = conflict.fields[name]
            await audit.record(
                connection, actor=actor, action="resolved", project_id=project_id, object=_object(mapping, name),
                before=_before(versions), after={"winner": side, "policy": "manual", "value": versions[side]},
            )  # fmt: skip
        resolution = {**(conflict.resolution or {}), **decided}
        left = {name: versions for name, versions in conflict.fields.items() if name not in decided}
        await mappings.save_disputed(connection, mapping, list(left))
        if left:
            await conflicts.save_decided(connection, conflict, left, resolution)
        else:
            await conflicts.close(connection, conflict, resolution, actor)
            await alerts.resolve(connection, project_id, ALERT, _subject(mapping))
        now = await conflicts.get(connection, conflict_id)
    assert now is not None
    return now


def _decided(conflict: ConflictRow, decisions: Decisions) -> dict[str, Side]:
    if isinstance(decisions, str):
        return dict.fromkeys(conflict.fields, decisions)
    if unknown := sorted(decisions.keys() - conflict.fields.keys()):
        raise ConflictError(
            f"Conflict {conflict.conflict_id} is about {', '.join(sorted(conflict.fields))}, not {', '.join(unknown)}."
        )
    if not decisions:
        raise ConflictError(f"Say for each field of conflict {conflict.conflict_id} which side wins: vms or crm.")
    return dict(decisions)


async def _agree(
    connection: Connection, mapping: MappingRow, conflict: ConflictRow, decided: Mapping[str, Side]
) -> None:
    """Make it look as if the winner's side alone had changed, and have the sync look at it."""
    agreed_vms, agreed_crm = dict(mapping.agreed_vms), dict(mapping.agreed_crm)
    for name, side in decided.items():
        if side == "crm":
            agreed_vms[name] = conflict.fields[name]["vms"]
        else:
            agreed_crm[name] = conflict.fields[name]["crm_own"]
    await mappings.save_agreed(connection, mapping, agreed_vms, agreed_crm)
    project_id, entity, vms_id = mapping.project_id, mapping.entity_type, mapping.vms_entity_id
    sides = set(decided.values())
    if "vms" in sides:
        await wakes.outbound(connection, project_id, entity, [vms_id], even_waiting=True)
    if "crm" in sides and entity == "payment":
        orders = await wakes.crm_orders_of_payments(connection, project_id, [vms_id])
        await wakes.inbound(connection, project_id, "order", orders, even_waiting=True)
    elif "crm" in sides:
        await wakes.inbound(connection, project_id, entity, [conflict.crm_entity_id], even_waiting=True)


async def _keep(connection: Connection, mapping: MappingRow, plan: Plan, opened: ConflictRow | None) -> None:
    """Open, bring up to date or close the object's conflict."""
    project_id, entity, vms_id = mapping.project_id, mapping.entity_type, mapping.vms_entity_id
    fields = {dispute.field: _versions(mapping, dispute) for dispute in plan.undecided}
    if opened is not None:
        # Of what is not told now nothing new is known.
        fields |= {name: versions for name, versions in opened.fields.items() if name in plan.untold}
        decided = {dispute.field for dispute in plan.disputes}
        settled = [name for name in opened.fields if name not in fields and name not in decided]
        await _note_settled(connection, mapping, opened, settled)
    if set(mapping.disputed) != fields.keys():
        await mappings.save_disputed(connection, mapping, list(fields))
    if not fields:
        if opened is not None:
            await conflicts.close(connection, opened, opened.resolution or {}, SETTLED)
            await alerts.resolve(connection, project_id, ALERT, _subject(mapping))
        return
    if opened is not None and opened.fields == fields:
        return
    if mapping.crm_entity_id is None:
        raise ValueError(f"{entity} {vms_id} of {project_id} is disputed with an object of the CRM that has no id")
    conflict_id, is_new = await conflicts.save_open(
        connection, project_id, entity, vms_id, mapping.crm_entity_id, fields
    )
    if is_new:
        message = (
            f"{entity} {vms_id} ({mapping.crm_entity_id} at the CRM) was changed on both sides: {', '.join(fields)}. "
            f"Decide with `crm-elt conflicts resolve {conflict_id}`."
        )
        await logs.write(connection, project_id, "warning", message, details={"conflict_id": conflict_id})
        await alerts.raise_once(connection, project_id, ALERT, [(_subject(mapping), message)])


async def _note(connection: Connection, mapping: MappingRow, dispute: Dispute, actor: str) -> None:
    """A policy decided: once in the audit log, however often sending it is tried."""
    versions = _versions(mapping, dispute)
    before = _before(versions)
    after = {"winner": dispute.winner, "policy": dispute.policy, "value": versions[dispute.winner or "vms"]}
    last = await audit.newest_of(connection, mapping.project_id, _object(mapping, dispute.field))
    is_noted = last is not None and (last.before, last.after) == (before, after)
    if is_noted and last is not None and (mapping.last_synced_at is None or last.at > mapping.last_synced_at):
        return
    await audit.record(
        connection, actor=actor, action="resolved", project_id=mapping.project_id,
        object=_object(mapping, dispute.field), before=before, after=after,
    )  # fmt: skip


async def _note_settled(
    connection: Connection, mapping: MappingRow, conflict: ConflictRow, names: Sequence[str]
) -> None:
    for name in names:
        await audit.record(
            connection, actor=SETTLED, action="resolved", project_id=mapping.project_id, object=_object(mapping, name),
            before=_before(conflict.fields[name]), after={"winner": None, "policy": "manual"},
        )  # fmt: skip


def _versions(mapping: MappingRow, dispute: Dispute) -> dict[str, Any]:
    return {
        "vms": dispute.vms,
        "crm": dispute.crm,
        "crm_own": dispute.crm_own,
        "agreed_vms": mapping.agreed_vms.get(dispute.field),
        "agreed_crm": mapping.agreed_crm.get(dispute.field),
        "vms_changed_at": _iso(dispute.vms_changed_at),
        "crm_changed_at": _iso(dispute.crm_changed_at),
    }


def _before(versions: Mapping[str, Any]) -> dict[str, Any]:
    return {name: versions[name] for name in ("vms", "crm", "agreed_vms", "agreed_crm")}


def _object(mapping: MappingRow, field: str) -> str:
    return f"conflict {_subject(mapping)} {field}"


def _subject(mapping: MappingRow) -> str:
    return f"{mapping.entity_type} {mapping.vms_entity_id}"


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
