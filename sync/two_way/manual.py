"""One object at somebody's request: it is read again from the CRM, and what vms has of it is compared and sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.protocol import Capabilities
from database.connection import Connection
from database.repositories import mappings, requests, two_way_status, wakes
from database.repositories.settings import ProjectRow
from sync.two_way.flags import flags_of
from sync.two_way.objects import Entity, Side

ENTITY_OF: dict[str, Entity] = {"orders": "order", "customers": "customer", "articles": "article"}
_LARGEST_ID = 2**63 - 1


class UnknownObjectError(LookupError):
    """There is no such object where it was asked for; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Asked:
    request_ids: list[int]
    """Of sync.requests: what is read again from the CRM."""
    vms_ids: list[int]
    """What of vms is compared with the CRM and sent."""


@dataclass(frozen=True, slots=True)
class _Found:
    reads: list[tuple[str, str]]
    """Stream and id at the CRM."""
    vms_ids: list[int]


async def sync_one(
    connection: Connection,
    project: ProjectRow,
    capabilities: Capabilities,
    kind: str,
    object_id: str,
    *,
    side: Side | None = None,
    requested_by: str,
) -> Asked:
    """Ask for one object, within the caller's transaction. `kind` is a key of ENTITY_OF. `side`: whose id it is; None:
    the CRM's, unless only vms knows it. An article's id at the CRM is that of its product, or of one offer. Raises
    UnknownObjectError."""
    entity = ENTITY_OF[kind]
    found = None if side == "crm" else await _of_vms(connection, project, entity, object_id, is_sure=side == "vms")
    if found is None:
        found = await _of_crm(connection, project, entity, object_id)
    streams = {stream.name for stream in capabilities.streams if stream.can_read_one}
    reads = [(stream, crm_id) for stream, crm_id in found.reads if stream in streams]
    sends = flags_of(project).sends(entity)
    if not reads and not (sends and found.vms_ids):
        raise UnknownObjectError(
            f"{project.crm} cannot read one of its {kind}, and vms has none that is linked with {object_id}: sync the "
            "whole project, or give the id of vms with ?side=vms."
        )
    request_ids = [
        await requests.enqueue(
            connection, project.project_id, stream=stream, crm_id=crm_id, origin="manual", requested_by=requested_by
        )
        for stream, crm_id in reads
    ]
    if not sends:
        return Asked(request_ids, [])
    await wakes.outbound(connection, project.project_id, entity, found.vms_ids)
    return Asked(request_ids, found.vms_ids)


async def _of_vms(
    connection: Connection, project: ProjectRow, entity: Entity, object_id: str, *, is_sure: bool
) -> _Found | None:
    """The object of vms with this id, if it is meant."""
    project_id = project.project_id
    number = int(object_id) if object_id.isascii() and object_id.isdigit() else 0
    is_there = 0 < number <= _LARGEST_ID and await two_way_status.vms_has(connection, project_id, entity, number)
    if not is_there:
        if is_sure:
            raise UnknownObjectError(f"vms has no {entity} {object_id} in {project_id}: check the id.")
        return None
    if not is_sure and await two_way_status.crm_has(connection, project_id, entity, object_id):
        return None
    mapping = (await mappings.by_vms_id(connection, project_id, entity, [number])).get(number)
    crm_id = None if mapping is None else mapping.crm_entity_id
    return _Found([] if crm_id is None else _reads(entity, crm_id), [number])


async def _of_crm(connection: Connection, project: ProjectRow, entity: Entity, crm_id: str) -> _Found:
    crm_ids: Sequence[str] = [crm_id]
    reads = _reads(entity, crm_id)
    if entity == "article":
        offers = await two_way_status.offers_of_product(connection, project.project_id, crm_id)
        is_offer = not offers and await two_way_status.crm_has(connection, project.project_id, entity, crm_id)
        if not is_offer:
            crm_ids, reads = offers, [("products", crm_id)]
    linked = await mappings.by_crm_id(connection, project.project_id, entity, crm_ids)
    return _Found(reads, sorted(mapping.vms_entity_id for mapping in linked.values()))


def _reads(entity: Entity, crm_id: str) -> list[tuple[str, str]]:
    """What is read again of an object that is known by the id of its mapping."""
    streams = {"order": ("orders",), "customer": ("customers",), "article": ("offers", "stocks")}[entity]
    return [(stream, crm_id) for stream in streams]
