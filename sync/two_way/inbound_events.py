"""What those who listen are told of changes that inbound has made in vms: ids, statuses, sums; nothing personal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from database.connection import Connection
from database.repositories import vms_writing
from database.repositories.inbound_queue import News
from database.repositories.stream_events import Kind, NewEvent
from sync.two_way.objects import Entity, VmsObject

_KINDS: Mapping[Entity, Kind] = {"order": "order", "payment": "payment", "customer": "buyer", "article": "stock"}
_TOLD: Mapping[Entity, tuple[str, ...]] = {
    "payment": ("amount", "status", "paid_at"),
    "article": ("sku", "stock", "price"),
}


@dataclass(frozen=True, slots=True)
class Change:
    crm_id: str
    now: VmsObject
    """As it is now."""
    fields: Collection[str]
    """What changed of it."""


async def events(
    connection: Connection, project_id: str, changes: Sequence[Change], news: Mapping[tuple[str, str], News]
) -> list[NewEvent]:
    """One event for each change, with what is `news` of the same object in core, by kind and CRM id; to be asked for
    when all is written, because an order's sums follow from its parts."""
    orders = [change.now.vms_id for change in changes if change.now.entity == "order"]
    told = await vms_writing.order_summaries(connection, project_id, orders) if orders else {}
    return [
        NewEvent(
            project_id, _KINDS[change.now.entity], change.crm_id, "crm",
            {
                **news.get(key_of(change), {}).get("payload", {}),
                "vms_id": change.now.vms_id,
                "changed": sorted(change.fields),
                **_summary(change.now),
                **(told.get(change.now.vms_id, {}) if change.now.entity == "order" else {}),
            },
            change.now.vms_id,
        )
        for change in changes
    ]  # fmt: skip


def of_core(project_id: str, news: News) -> NewEvent:
    """Of a change of core alone."""
    return NewEvent(project_id, news["kind"], news["entity_id"], "crm", news["payload"], news["vms_id"])


def key_of(change: Change) -> tuple[str, str]:
    return _KINDS[change.now.entity], change.crm_id


def _summary(item: VmsObject) -> dict[str, Any]:
    summary = {name: item.fields[name] for name in _TOLD.get(item.entity, ())}
    if item.entity == "payment":
        summary["vms_order_id"] = item.details["order_id"]
    return summary
