"""Which object of vms one of the CRM is: by its mapping, by the key that we gave it, else by what it is known by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.values.phones import parse_phone
from database.connection import Connection
from database.repositories import inbound_queue, mappings, vms_writing
from database.repositories.mappings import MappingRow
from sync.projects import Project
from sync.two_way.objects import CrmObject, Entity

_END = 9
"""Digits of a phone that are the same however it is written."""


@dataclass(slots=True)
class Found:
    """Each CRM id is in one of these at most; one that is in none has no counterpart."""

    linked: dict[str, MappingRow] = field(default_factory=dict)
    by_key: dict[str, int] = field(default_factory=dict)
    """vms id: we made it, and never heard the answer."""
    alike: dict[str, int] = field(default_factory=dict)
    """vms id: it is known by the same sku, phone or e-mail."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Why it cannot be brought into vms."""
    waiting: set[str] = field(default_factory=set)
    """Whose counterpart may be about to be known."""

    def vms_ids(self) -> dict[str, int]:
        linked = {crm_id: mapping.vms_entity_id for crm_id, mapping in self.linked.items()}
        return {**linked, **self.by_key, **self.alike}


async def counterparts(
    connection: Connection, project: Project, entity: Entity, items: Mapping[str, CrmObject]
) -> Found:
    """The mappings found are locked until the transaction ends."""
    project_id = project.row.project_id
    found = Found(await mappings.by_crm_id(connection, project_id, entity, list(items), for_update=True))
    rest = [item for crm_id, item in items.items() if crm_id not in found.linked]
    await _by_key(connection, project_id, entity, rest, found)
    rest = [item for item in rest if item.crm_id not in found.by_key and item.crm_id not in found.wrong]
    rest = [item for item in rest if not item.is_deleted]
    if entity == "customer":
        await _customers(connection, project, rest, found)
    elif entity == "article":
        await _articles(connection, project_id, rest, found)
    return found


async def _by_key(
    connection: Connection, project_id: str, entity: Entity, items: Sequence[CrmObject], found: Found
) -> None:
    keys = {item.link: item for item in reversed(items) if item.link is not None}
    if not keys:
        return
    ours = await mappings.by_key(connection, project_id, list(keys), for_update=True)
    for item in items:
        mapping = ours.get(item.link or "")
        if mapping is None or mapping.entity_type != entity:
            continue
        if mapping.crm_entity_id is None and keys[item.link or ""] is item:
            found.by_key[item.crm_id] = mapping.vms_entity_id
        else:
            other = mapping.crm_entity_id or keys[item.link or ""].crm_id
            found.wrong[item.crm_id] = (
                f"It has the key of {entity} {mapping.vms_entity_id} of vms, which is {other} at the CRM: "
                f"{item.crm_id} is a copy of it, delete one of them there."
            )


async def _customers(connection: Connection, project: Project, items: Sequence[CrmObject], found: Found) -> None:
    """By phone, then by e-mail; each customer of vms once, the oldest first."""
    if not items:
        return
    region = project.row.region
    phones = {item.crm_id: _phones(item, region) for item in items}
    emails = {item.crm_id: (item.as_vms.get("email") or "").lower() for item in items}
    ends = {phone[-_END:] for of_item in phones.values() for phone in of_item}
    rows = await vms_writing.unlinked_customers(
        connection, project.row.project_id, ends, {email for email in emails.values() if email}
    )
    by_phone: dict[str, list[int]] = {}
    by_email: dict[str, list[int]] = {}
    for row in rows:
        if row["phone"] is not None and (phone := parse_phone(row["phone"], region)) is not None:
            by_phone.setdefault(phone, []).append(row["id"])
        if row["email"] is not None:
            by_email.setdefault(row["email"].lower(), []).append(row["id"])
    taken: set[int] = set()
    nameless = []
    for item in items:
        known = [number for phone in phones[item.crm_id] for number in by_phone.get(phone, ())]
        known += by_email.get(emails[item.crm_id], ()) if emails[item.crm_id] else ()
        vms_id = next((number for number in known if number not in taken), None)
        if vms_id is not None:
            taken.add(vms_id)
            found.alike[item.crm_id] = vms_id
        elif not phones[item.crm_id] and not emails[item.crm_id]:
            nameless.append(item.crm_id)
    # One that nothing tells from others may be the one that is being made at the CRM just now.
    if nameless and await inbound_queue.is_creating(connection, project.row.project_id, "customer"):
        found.waiting.update(nameless)


def _phones(item: CrmObject, region: str | None) -> list[str]:
    """In E.164, the first one first."""
    given: Iterable[str] = [item.as_vms.get("phone") or "", *item.details.get("phones", ())]
    return list(dict.fromkeys(found for text in given if (found := parse_phone(text, region)) is not None))


async def _articles(connection: Connection, project_id: str, items: Sequence[CrmObject], found: Found) -> None:
    by_sku = {sku: item for item in reversed(items) if (sku := item.as_vms.get("sku")) is not None}
    if not by_sku:
        return
    known = await vms_writing.articles_by_sku(connection, project_id, by_sku)
    linked = await mappings.by_vms_id(connection, project_id, "article", list(known.values()))
    for sku, vms_id in known.items():
        if vms_id not in linked or linked[vms_id].crm_entity_id is None:
            found.alike[by_sku[sku].crm_id] = vms_id
