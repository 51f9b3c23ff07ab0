"""Rows of schema vms for what comes from the CRM. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync.two_way.objects import ITEM_FIELDS, SHIPMENT_FIELDS, CrmObject, Entity, Value, money, quantity, text

Row = dict[str, Any]
PAYMENT_STATES = frozenset({"not_paid", "part_paid", "paid", "overpaid", "refunded"})


def columns(entity: Entity, values: Mapping[str, Value]) -> Row:
    """The columns of the object's own row; an order's lines and shipment are in other tables."""
    if entity != "order":
        return dict(values)
    row = {name: value for name, value in values.items() if name != "items" and name not in SHIPMENT_FIELDS}
    if "customer" in row:
        row["customer_id"] = row.pop("customer")
    return row


def new_row(entity: Entity, item: CrmObject, vms_id: int, number: str | None, order_id: int | None) -> Row:
    """The row of an object that vms does not have. `number` is an order's, `order_id` a payment's order in vms."""
    row: Row = {"id": vms_id, **columns(entity, item.as_vms)}
    if entity in ("order", "article", "payment"):
        row["currency"] = item.details.get("currency")
    if entity == "order":
        state = item.details.get("payment_status")
        row |= {
            "number": number,
            "total": item.details.get("total"),
            "ordered_at": item.details.get("ordered_at"),
            "payment_status": state if state in PAYMENT_STATES else None,
        }
    if entity == "payment":
        row["order_id"] = order_id
    return row


def shipment(values: Mapping[str, Value]) -> Row:
    return {name: values[name] for name in SHIPMENT_FIELDS if name in values}


def is_empty(row: Mapping[str, Value]) -> bool:
    return all(value is None for value in row.values())


@dataclass(slots=True)
class LineChanges:
    added: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)
    """With the id, and what of it changes."""
    gone: list[int] = field(default_factory=list)


def line_changes(stored: Sequence[Mapping[str, Any]], wanted: Iterable[Mapping[str, Value]]) -> LineChanges:
    """What makes the stored lines (rows of vms) the wanted ones (canonical): equal ones stay as they are, then those
    of the same sku are taken for the same line, then those of the same name without a sku."""
    changes = LineChanges()
    left = [(row["id"], _canonical(row)) for row in stored]
    rest = []
    for line in wanted:
        same = next((entry for entry in left if entry[1] == line), None)
        if same is None:
            rest.append(line)
        else:
            left.remove(same)
    for line in rest:
        alike = next((entry for entry in left if _is_alike(entry[1], line)), None)
        if alike is None:
            changes.added.append(dict(line))
            continue
        left.remove(alike)
        changes.changed.append(
            {"id": alike[0], **{name: line[name] for name in ITEM_FIELDS if line[name] != alike[1][name]}}
        )
    changes.gone = [number for number, _ in left]
    return changes


def _is_alike(one: Mapping[str, Value], other: Mapping[str, Value]) -> bool:
    if one["sku"] is not None or other["sku"] is not None:
        return bool(one["sku"] == other["sku"])
    return bool(one["name"] == other["name"])


def _canonical(row: Mapping[str, Any]) -> dict[str, Value]:
    return {
        "sku": text(row["sku"]),
        "name": text(row["name"]),
        "quantity": quantity(row["quantity"]),
        "price": money(row["price"]),
        "discount": money(row["discount"]),
    }
