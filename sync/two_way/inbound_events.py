"""What those who listen are told of changes that inbound has made in vms: ids, statuses, sums; nothing personal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from database.connection import Connection
from database.repositories import vms_writing
from database.repositories.stream_events import Kind, NewEvent
from sync.two_way.objects import Entity, VmsObject

_KINDS: Mapping[Entity, Kind] = {"order": "order", "payment": "payment", "customer": "buyer", "article": "stock"}
_TOLD: Mapping[Entity, tuple[str, ...]] = {
    "payment": ("amount", "status", "paid_at"),
    "article": ("sku", "stock", "price"),
}


async def events(
    connection: Connection,
    project_id: str,
    entity: Entity,
    written: Mapping[int, VmsObject],
    changed: Mapping[int, Collection[str]],
    crm_ids: Mapping[int, str],
) -> list[NewEvent]:
    """One event for each object of `changed` (vms id -> names of fields); `written` is how they are now."""
    told: Mapping[int, Mapping[str, Any]] = {}
    if entity == "order" and changed:
        told = await vms_writing.order_summaries(connection, project_id, list(changed))
    return [
        NewEvent(
            project_id,
            _KINDS[entity],
            crm_ids[vms_id],
            "crm",
            {"vms_id": vms_id, "changed": sorted(fields), **_summary(written[vms_id]), **told.get(vms_id, {})},
            vms_id,
        )
        for vms_id, fields in changed.items()
    ]


def _summary(item: VmsObject) -> dict[str, Any]:
    summary = {name: item.fields[name] for name in _TOLD.get(item.entity, ())}
    if item.entity == "payment":
        summary["vms_order_id"] = item.details["order_id"]
    return summary
