"""Writes in vms what comes from the CRM: one statement for all objects of a portion, table by table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from database.connection import Connection
from database.repositories import vms_writing
from sync.two_way import inbound_rows
from sync.two_way.objects import CrmObject, Entity, Value


async def update(
    connection: Connection, project_id: str, entity: Entity, values: Mapping[int, Mapping[str, Value]]
) -> None:
    """Write fields of objects that there are; `values`: vms id -> field -> value."""
    rows = [{"id": vms_id, **inbound_rows.columns(entity, fields)} for vms_id, fields in values.items()]
    await vms_writing.update(
        connection, project_id, vms_writing.table_of(entity), [row for row in rows if len(row) > 1]
    )
    if entity == "order":
        await _update_lines(connection, project_id, values)
        await _update_shipments(connection, project_id, values)


async def insert(
    connection: Connection, project_id: str, entity: Entity, items: Sequence[CrmObject], crm: str,
    orders: Mapping[str, int],
) -> dict[str, int]:  # fmt: skip
    """Make objects in vms: CRM id -> id in vms. `orders`: those of payments, vms id by CRM id."""
    if not items:
        return {}
    table = vms_writing.table_of(entity)
    ids = dict(
        zip((item.crm_id for item in items), await vms_writing.new_ids(connection, table, len(items)), strict=True)
    )
    numbers: dict[str, str] = {}
    if entity == "order":
        numbers = {item.crm_id: f"{crm.upper()}-{item.crm_id}" for item in items}
        taken = await vms_writing.taken_numbers(connection, project_id, list(numbers.values()))
        numbers |= {crm_id: f"{number}-{ids[crm_id]}" for crm_id, number in numbers.items() if number in taken}
    await vms_writing.insert(
        connection, project_id, table,
        [
            inbound_rows.new_row(
                entity, item, ids[item.crm_id], numbers.get(item.crm_id), orders.get(item.details.get("order_id", ""))
            )
            for item in items
        ],
    )  # fmt: skip
    if entity == "order":
        lines = [{"order_id": ids[item.crm_id], **line} for item in items for line in item.as_vms.get("items", ())]
        await vms_writing.insert(connection, project_id, "order_items", lines)
        shipments = {ids[item.crm_id]: inbound_rows.shipment(item.as_vms) for item in items}
        await _insert_shipments(connection, project_id, shipments)
    return ids


async def _update_lines(connection: Connection, project_id: str, values: Mapping[int, Mapping[str, Value]]) -> None:
    wanted = {vms_id: fields["items"] for vms_id, fields in values.items() if "items" in fields}
    if not wanted:
        return
    stored = await vms_writing.lines(connection, project_id, list(wanted))
    changes = {vms_id: inbound_rows.line_changes(stored.get(vms_id, ()), lines) for vms_id, lines in wanted.items()}
    await vms_writing.update(
        connection, project_id, "order_items", [row for change in changes.values() for row in change.changed]
    )
    await vms_writing.insert(
        connection, project_id, "order_items",
        [{"order_id": vms_id, **row} for vms_id, change in changes.items() for row in change.added],
    )  # fmt: skip
    gone = [number for change in changes.values() for number in change.gone]
    await vms_writing.delete(connection, project_id, "order_items", gone)


async def _update_shipments(connection: Connection, project_id: str, values: Mapping[int, Mapping[str, Value]]) -> None:
    wanted = {vms_id: row for vms_id, fields in values.items() if (row := inbound_rows.shipment(fields))}
    if not wanted:
        return
    newest = await vms_writing.newest_shipments(connection, project_id, list(wanted))
    await vms_writing.update(
        connection, project_id, "shipments",
        [{"id": newest[vms_id], **row} for vms_id, row in wanted.items() if vms_id in newest],
    )  # fmt: skip
    await _insert_shipments(
        connection, project_id, {vms_id: row for vms_id, row in wanted.items() if vms_id not in newest}
    )


async def _insert_shipments(connection: Connection, project_id: str, rows: Mapping[int, dict[str, Any]]) -> None:
    await vms_writing.insert(
        connection, project_id, "shipments",
        [{"order_id": vms_id, **row} for vms_id, row in rows.items() if not inbound_rows.is_empty(row)],
    )  # fmt: skip
