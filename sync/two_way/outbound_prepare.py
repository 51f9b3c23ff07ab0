"""From claimed rows of the outbox to what is to be sent, within the transaction that claims them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from database.connection import Connection
from database.repositories import logs, mappings, outbox, wakes
from database.repositories.mappings import MappingRow
from database.repositories.outbox import OutboxRow
from sync.tracebacks import frames
from sync.two_way import conflicts, crm_state, outbound_change, vms_state
from sync.two_way.objects import ENTITIES, CrmObject, Entity, VmsObject
from sync.two_way.outbound_change import Outgoing, Surroundings
from sync.two_way.outbound_context import Context
from sync.two_way.outbound_settle import resolve_failure

ACTOR = "outbound"

_log = structlog.get_logger(__name__)

Group = dict[int, list[OutboxRow]]


@dataclass(slots=True)
class Prepared:
    outgoing: list[Outgoing] = field(default_factory=list)
    """What is to be sent, customers first, orders before their payments."""
    skipped: int = 0
    broken: list[tuple[Entity, list[OutboxRow], str]] = field(default_factory=list)
    """What cannot even be read, and why."""


async def prepare(connection: Connection, context: Context, rows: Sequence[OutboxRow]) -> Prepared:
    """Look at the objects of these rows: what the CRM has already is done with at once, and so is what is not sent."""
    prepared = Prepared()
    for entity in ENTITIES:
        group: Group = {}
        for row in rows:
            if row.entity_type == entity:
                group.setdefault(row.vms_entity_id, []).append(row)
        if not group:
            continue
        if (why := context.refusals.get(entity)) is not None:
            await _skip(connection, context, prepared, [row for found in group.values() for row in found], why)
            continue
        await _prepare(connection, context, entity, group, prepared)
    return prepared


async def _prepare(connection: Connection, context: Context, entity: Entity, group: Group, prepared: Prepared) -> None:
    project_id = context.project_id
    # The locks first: what is read after them is what nobody but the users of vms changes meanwhile.
    links = await mappings.ensure(connection, project_id, entity, list(group))
    objects = await vms_state.load(connection, context.project, entity, list(group))
    await _skip_deleted(connection, context, entity, group, links, objects, prepared)
    crm_ids = [link.crm_entity_id for link in links.values() if link.crm_entity_id is not None]
    seen: dict[str, CrmObject] = {}
    if crm_ids and context.flags.inbound:  # else the CRM's changes are nobody's business
        seen = await crm_state.load(connection, context.project, entity, crm_ids)
    around = await _surroundings(connection, context, entity, objects)
    made: list[Outgoing] = []
    for vms_id, found in objects.items():
        link = links[vms_id]
        try:
            out = outbound_change.plan(
                group[vms_id], link, found, seen.get(link.crm_entity_id or ""), around,
                context.project.row.conflict_policy, context.flags.skew,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - one object that we cannot read must not stop the others
            _log.error("outbound_unreadable", project_id=project_id, entity=entity, id=vms_id, frames=frames(error))
            prepared.broken.append((entity, group[vms_id], f"Unexpected error: {type(error).__name__}"))
            continue
        made.append(out)
    if not context.flags.dry_run:
        await _tell_inbound(connection, context, made, around)
        known = [out for out in made if out.seen]
        if known:
            await conflicts.record_all(connection, project_id, [(out.mapping, out.plan) for out in known], actor=ACTOR)
    for out in made:
        if not out.has_something:
            await _finish_unsent(connection, context, out)
            prepared.skipped += len(out.rows)
        elif context.flags.dry_run:
            await _pretend(connection, context, out)
            prepared.skipped += len(out.rows)
        else:
            prepared.outgoing.append(out)


async def _skip_deleted(
    connection: Connection,
    context: Context,
    entity: Entity,
    group: Group,
    links: dict[int, MappingRow],
    objects: dict[int, VmsObject],
    prepared: Prepared,
) -> None:
    for vms_id in [vms_id for vms_id in group if vms_id not in objects]:
        why = f"{entity} {vms_id} was deleted in vms before it was sent."
        if (crm_id := links[vms_id].crm_entity_id) is not None:
            why = f"{entity} {vms_id} was deleted in vms; nothing is deleted at the CRM: do so with {crm_id} there."
            await mappings.save_status(connection, context.project_id, links[vms_id].mapping_id, "error", why)
        await _skip(connection, context, prepared, group[vms_id], why)


async def _surroundings(
    connection: Connection, context: Context, entity: Entity, objects: dict[int, VmsObject]
) -> Surroundings:
    project_id = context.project_id
    customers: dict[int, MappingRow] = {}
    articles: dict[int, MappingRow] = {}
    orders: dict[int, MappingRow] = {}
    if entity == "order":
        customer_ids = {found.fields["customer"] for found in objects.values()} - {None}
        if customer_ids:
            customers = await mappings.ensure(
                connection, project_id, "customer", sorted(customer_ids), for_update=False
            )
        lines = [line for found in objects.values() for line in found.details["items"]]
        article_ids = {line["article_id"] for line in lines} - {None}
        if article_ids:
            articles = await mappings.by_vms_id(connection, project_id, "article", sorted(article_ids))
    elif entity == "payment":
        order_ids = sorted({found.details["order_id"] for found in objects.values()})
        orders = await mappings.ensure(connection, project_id, "order", order_ids, for_update=False)
    return Surroundings(context.words, customers, articles, orders)


async def _tell_inbound(
    connection: Connection, context: Context, made: Sequence[Outgoing], around: Surroundings
) -> None:
    """The CRM has won: writing it into vms is the inbound flow's."""
    won: dict[str, set[str]] = {}
    for out in made:
        if any(dispute.winner == "crm" for dispute in out.plan.disputes):
            if out.entity == "payment":
                crm_id = around.orders[out.object.details["order_id"]].crm_entity_id
                won.setdefault("order", set()).add(crm_id or "")
            else:
                won.setdefault(out.entity, set()).add(out.mapping.crm_entity_id or "")
    for entity, crm_ids in won.items():
        await wakes.inbound(connection, context.project_id, entity, sorted(crm_ids - {""}))


async def _finish_unsent(connection: Connection, context: Context, out: Outgoing) -> None:
    """Nothing is to be sent: the rows are done with, and what was found out is kept."""
    why = "The CRM has it."
    if out.refused:
        why = " ".join(out.refused.values())
    elif out.plan.undecided:
        why = "Both sides changed it: decide with `crm-elt conflicts resolve`."
    elif out.plan.to_vms:
        why = "The CRM has a newer version, which goes before."
    elif out.mapping.crm_entity_id is None:
        why = "There is nothing in it to send."
    await outbox.finish(connection, context.project_id, out.ids, "skipped", message=why)
    agreed_vms = {**out.agreed.vms, **{name: out.object.fields[name] for name in out.refused}}
    before = out.mapping
    if (agreed_vms, out.agreed.crm, out.agreed.overwritten) != (
        before.agreed_vms, before.agreed_crm, before.overwritten
    ):  # fmt: skip
        await mappings.save_agreed(connection, before, agreed_vms, out.agreed.crm, out.agreed.overwritten)
    if out.refused:
        await logs.write(connection, context.project_id, "warning", f"{out.subject}: {why}")
    elif before.sync_status == "error" and before.crm_entity_id is not None and not out.plan.undecided:
        await mappings.save_status(connection, context.project_id, before.mapping_id, "synced")
        await resolve_failure(connection, context.project_id, out.entity, out.object.vms_id)


async def _pretend(connection: Connection, context: Context, out: Outgoing) -> None:
    what = "create" if out.change.is_new else "change"
    names = ", ".join(sorted(out.names))
    message = f"Dry run: would {what} {out.subject} at the CRM ({names})."
    await logs.write(connection, context.project_id, "info", message, details={"fields": outbound_change.shown(out)})
    await outbox.finish(connection, context.project_id, out.ids, "skipped", message="Dry run: nothing was sent.")


async def _skip(
    connection: Connection, context: Context, prepared: Prepared, rows: Sequence[OutboxRow], why: str
) -> None:
    await outbox.finish(connection, context.project_id, [row.outbox_id for row in rows], "skipped", message=why)
    prepared.skipped += len(rows)
