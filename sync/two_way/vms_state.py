"""Objects of vms in the words of the two-way sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.values.phones import parse_phone
from database.connection import Connection
from database.repositories import outbox, vms
from sync.projects import Project
from sync.two_way.objects import (
    SHIPMENT_FIELDS,
    Entity,
    Value,
    VmsObject,
    moment,
    money,
    quantity,
    sorted_lines,
    text,
)


async def load(connection: Connection, project: Project, entity: Entity, ids: Sequence[int]) -> dict[int, VmsObject]:
    """Those of these objects that there are, with when their fields changed whose change is not sent yet."""
    rows = await vms.load(connection, project.row.project_id, entity, ids)
    changed = await outbox.changed_at(
        connection, project.row.project_id, entity, {row["id"]: row["lane"] for row in rows}
    )
    return {row["id"]: of_row(entity, row, changed.get(row["id"], {}), project.row.region) for row in rows}


def of_row(
    entity: Entity, row: Mapping[str, Any], changed_at: Mapping[str, datetime] | None = None, region: str | None = None
) -> VmsObject:
    """A row of `vms.load` as an object. `changed_at` by the outbox's words; `region`: for phones without a country."""
    changed = dict(changed_at or {})
    if (shipped_at := changed.pop("shipment", None)) is not None:
        changed |= dict.fromkeys(SHIPMENT_FIELDS, shipped_at)
    fields, details = _READERS[entity](row, region)
    return VmsObject(entity, row["id"], fields, changed, row["updated_at"], details)


def _order(row: Mapping[str, Any], region: str | None) -> tuple[dict[str, Value], dict[str, Any]]:
    lines = [
        {**line, **{name: Decimal(line[name]) for name in ("quantity", "price", "discount")}} for line in row["items"]
    ]
    fields = {
        "customer": row["customer_id"],
        "status": row["status"],
        "discount": money(row["discount"]),
        "shipping_price": money(row["shipping_price"]),
        "comment": text(row["comment"]),
        "items": sorted_lines(
            {
                "sku": text(line["sku"]),
                "name": text(line["name"]),
                "quantity": quantity(line["quantity"]),
                "price": money(line["price"]),
                "discount": money(line["discount"]),
            }
            for line in lines
        ),
        "carrier": text(row["carrier"]),
        "tracking_number": text(row["tracking_number"]),
        "recipient": text(row["recipient"]),
        "phone": _phone(row["phone"], region),
        "address": text(row["address"]),
    }
    customer = None
    if row["customer_id"] is not None:
        customer = {
            "full_name": text(row["customer_name"]),
            "phone": _phone(row["customer_phone"], region),
            "email": text(row["customer_email"]),
        }
    details = {
        **{name: row[name] for name in ("number", "currency", "total", "ordered_at", "discount", "shipping_price")},
        "items": lines,
        "customer": customer,
    }
    return fields, details


def _customer(row: Mapping[str, Any], region: str | None) -> tuple[dict[str, Value], dict[str, Any]]:
    fields = {name: text(row[name]) for name in ("full_name", "email", "segment", "note")}
    return {**fields, "phone": _phone(row["phone"], region)}, {}


def _article(row: Mapping[str, Any], region: str | None) -> tuple[dict[str, Value], dict[str, Any]]:
    fields: dict[str, Value] = {name: text(row[name]) for name in ("sku", "name", "description", "barcode")}
    fields |= {
        "price": money(row["price"]),
        "purchased_price": money(row["purchased_price"]),
        "stock": quantity(row["stock"]),
        "is_active": row["is_active"],
    }
    return fields, {name: row[name] for name in ("price", "purchased_price", "stock", "currency")}


def _payment(row: Mapping[str, Any], region: str | None) -> tuple[dict[str, Value], dict[str, Any]]:
    fields = {
        "amount": money(row["amount"]),
        "method": text(row["method"]),
        "status": row["status"],
        "paid_at": moment(row["paid_at"]),
    }
    return fields, {name: row[name] for name in ("order_id", "amount", "currency", "paid_at")}


def _phone(value: str | None, region: str | None) -> str | None:
    written = text(value)
    return None if written is None else parse_phone(written, region) or written


_READERS = {"order": _order, "customer": _customer, "article": _article, "payment": _payment}
