"""A change that the warehouse system sends over HTTP: `{entity, op, data}`, checked and written into schema vms.

It is the warehouse's own change, so the triggers put it into the outbox as they do for any other client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from database.connection import Connection
from database.repositories import locks, vms_writing
from database.repositories.vms_writing import Table
from sync.two_way import inbound_rows
from sync.two_way.objects import money, quantity, text

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=10_000)]
Time = Annotated[datetime, Meta(tz=True)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Status = Literal["PENDING", "CONFIRMED", "PROCESSING", "SHIPPED", "DELIVERED", "CANCELLED", "REFUNDED"]
PaymentStatus = Literal["not_paid", "part_paid", "paid", "overpaid", "refunded"]
Op = Literal["create", "update", "delete"]
_MOST = Decimal(10) ** 15


class RefusedError(ValueError):
    """The change cannot be made; the message is one sentence."""


class _Data(Struct, forbid_unknown_fields=True):
    """What is not named is left as it is, or has its default."""

    id: Id | UnsetType = UNSET


class Customer(_Data):
    full_name: Text | UnsetType = UNSET
    phone: Name | UnsetType | None = UNSET
    email: Name | UnsetType | None = UNSET
    segment: Text | UnsetType | None = UNSET
    note: Text | UnsetType | None = UNSET


class Article(_Data):
    sku: Name | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    price: Decimal | UnsetType = UNSET
    purchased_price: Decimal | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    stock: Decimal | UnsetType = UNSET
    barcode: Text | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET


class OrderItem(_Data):
    order_id: Id | UnsetType = UNSET
    order_number: Name | UnsetType = UNSET
    article_id: Id | UnsetType | None = UNSET
    sku: Name | UnsetType | None = UNSET
    name: Text | UnsetType = UNSET
    quantity: Decimal | UnsetType = UNSET
    price: Decimal | UnsetType = UNSET
    discount: Decimal | UnsetType = UNSET


class Order(_Data):
    number: Name | UnsetType = UNSET
    customer_id: Id | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    payment_status: PaymentStatus | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    total: Decimal | UnsetType = UNSET
    discount: Decimal | UnsetType = UNSET
    shipping_price: Decimal | UnsetType = UNSET
    comment: Text | UnsetType | None = UNSET
    ordered_at: Time | UnsetType = UNSET
    items: list[OrderItem] | UnsetType = UNSET
    """All lines of the order."""


class Payment(_Data):
    order_id: Id | UnsetType = UNSET
    order_number: Name | UnsetType = UNSET
    amount: Decimal | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    method: Text | UnsetType | None = UNSET
    status: Literal["pending", "paid", "cancelled", "refunded"] | UnsetType = UNSET
    paid_at: Time | UnsetType | None = UNSET


class Shipment(_Data):
    order_id: Id | UnsetType = UNSET
    order_number: Name | UnsetType = UNSET
    carrier: Text | UnsetType | None = UNSET
    tracking_number: Name | UnsetType | None = UNSET
    status: Text | UnsetType | None = UNSET
    recipient: Text | UnsetType | None = UNSET
    phone: Text | UnsetType | None = UNSET
    address: Text | UnsetType | None = UNSET
    shipped_at: Time | UnsetType | None = UNSET


_KINDS: Mapping[str, tuple[Table, type[_Data]]] = {
    "customer": ("customers", Customer),
    "article": ("articles", Article),
    "order": ("orders", Order),
    "order_item": ("order_items", OrderItem),
    "payment": ("payments", Payment),
    "shipment": ("shipments", Shipment),
}
_KEYS: Mapping[Table, str] = {"articles": "sku", "orders": "number"}
"""What an object is known by beside its id."""
_POSITIVE = frozenset({"quantity", "amount"})


class _Envelope(Struct, forbid_unknown_fields=True):
    entity: Literal["customer", "article", "order", "order_item", "payment", "shipment"]
    op: Op
    data: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Change:
    entity: str
    op: Op
    table: Table
    values: dict[str, Any]
    """Fields that were named."""


def read(body: bytes) -> Change:
    """Raises RefusedError."""
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
        table, kind = _KINDS[envelope.entity]
        data = msgspec.json.decode(envelope.data, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RefusedError(f"{str(error).rstrip('.')}.") from None
    values = _named(data)
    if envelope.op == "create":
        if "id" in values:
            raise RefusedError("data.id: a new object is given its id, leave it out.")
        _check_needed(envelope.entity, values)
    elif "id" not in values and _KEYS.get(table) not in values:
        known_by = "id" if table not in _KEYS else f"id or {_KEYS[table]}"
        raise RefusedError(f"data: name the {envelope.entity} by its {known_by}.")
    return Change(envelope.entity, envelope.op, table, values)


async def apply(connection: Connection, project_id: str, change: Change) -> int | None:
    """Write the change, in the caller's transaction. The object's id; None for the deletion of one that is not there.

    What has a number or a sku is made once, however often its creation is sent. Raises RefusedError, and psycopg.Error
    for what the database refuses.
    """
    values = dict(change.values)
    vms_id = await _find(connection, project_id, change)
    if change.op == "delete":
        if vms_id is not None:
            await vms_writing.delete(connection, project_id, change.table, [vms_id])
        return vms_id
    if vms_id is None and change.op == "update":
        raise RefusedError(f"There is no {change.entity} {values.get('id', values.get(_KEYS.get(change.table, '')))}.")
    await _resolve(connection, project_id, change, values)
    lines = values.pop("items", None)
    values.pop("id", None)
    if vms_id is None:
        (vms_id,) = await vms_writing.new_ids(connection, change.table, 1)
        await vms_writing.insert(connection, project_id, change.table, [{"id": vms_id, **values}])
    elif values:
        await vms_writing.update(connection, project_id, change.table, [{"id": vms_id, **values}])
    if lines is not None:
        await _set_lines(connection, project_id, vms_id, lines)
    return vms_id


async def _find(connection: Connection, project_id: str, change: Change) -> int | None:
    values = change.values
    if "id" in values:
        found = await vms_writing.existing(connection, project_id, change.table, [values["id"]])
        return values["id"] if values["id"] in found else None
    key = _KEYS.get(change.table)
    if key is None or key not in values:
        return None
    if change.op == "create":  # one after the other, so that the second of two finds what the first made
        await locks.wait_transaction(connection, f"vms.{project_id}.{change.table}.{values[key]}")
    return await vms_writing.id_of(connection, project_id, change.table, values[key])


async def _resolve(connection: Connection, project_id: str, change: Change, values: dict[str, Any]) -> None:
    """Check that what the change refers to is there; an order may be named by its number."""
    number = values.pop("order_number", None)
    if number is not None:
        order_id = await vms_writing.id_of(connection, project_id, "orders", number)
        if order_id is None:
            raise RefusedError(f"data.order_number: there is no order {number}.")
        if values.get("order_id", order_id) != order_id:
            raise RefusedError(f"data.order_id: order {number} has the id {order_id}.")
        values["order_id"] = order_id
    for name, table in (("order_id", "orders"), ("customer_id", "customers"), ("article_id", "articles")):
        vms_id = values.get(name)
        if vms_id is not None and vms_id not in await vms_writing.existing(connection, project_id, table, [vms_id]):  # type: ignore[arg-type]
            raise RefusedError(f"data.{name}: there is no {table[:-1]} {vms_id}.")
    if change.table == "order_items":
        await _check_skus(connection, project_id, [values])
    if "items" in values:
        await _check_skus(connection, project_id, values["items"])


async def _check_skus(connection: Connection, project_id: str, lines: list[dict[str, Any]]) -> None:
    skus = {line["sku"] for line in lines if line.get("sku") is not None}
    if skus and (missing := sorted(skus - (await vms_writing.articles_by_sku(connection, project_id, skus)).keys())):
        raise RefusedError(f"data.sku: there is no article {missing[0]}.")


async def _set_lines(connection: Connection, project_id: str, order_id: int, lines: list[dict[str, Any]]) -> None:
    """Let the order have these lines; those that are there already stay as they are."""
    skus = {line["sku"] for line in lines if line.get("sku") is not None}
    articles = await vms_writing.article_defaults(connection, project_id, skus)
    wanted = []
    for line in lines:
        article = articles.get(line.get("sku") or "", {})
        price = line.get("price", article.get("price", Decimal(0)))
        wanted.append(
            {
                "sku": text(line.get("sku")),
                "name": text(line.get("name")) or text(article.get("name")) or text(line.get("sku")),
                "quantity": quantity(line.get("quantity", Decimal(1))),
                "price": money(price),
                "discount": money(line.get("discount", Decimal(0))),
            }
        )
    stored = (await vms_writing.lines(connection, project_id, [order_id])).get(order_id, [])
    changes = inbound_rows.line_changes(stored, wanted)
    await vms_writing.update(connection, project_id, "order_items", changes.changed)
    await vms_writing.insert(
        connection, project_id, "order_items", [{"order_id": order_id, **row} for row in changes.added]
    )
    await vms_writing.delete(connection, project_id, "order_items", changes.gone)


def _named(data: _Data) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in data.__struct_fields__:
        value = getattr(data, name)
        if value is UNSET:
            continue
        if name == "items":
            value = [_line(item, number) for number, item in enumerate(value)]
        elif isinstance(value, Decimal):
            _check_number(f"data.{name}", name, value)
        values[name] = value
    return values


def _line(item: OrderItem, number: int) -> dict[str, Any]:
    values = _named(item)
    for name in ("id", "order_id", "order_number", "article_id"):
        if name in values:
            raise RefusedError(f"data.items[{number}].{name}: a line of an order is named by its sku, leave it out.")
    if not values.get("sku") and not values.get("name"):
        raise RefusedError(f"data.items[{number}]: a line needs a sku, or a name.")
    return values


def _check_number(path: str, name: str, value: Decimal) -> None:
    if not value.is_finite() or abs(value) >= _MOST:
        raise RefusedError(f"{path}: it has to be below {_MOST:f}.")
    if value < 0 or (value == 0 and name in _POSITIVE):
        raise RefusedError(f"{path}: it has to be {'above 0' if name in _POSITIVE else '0 or more'}.")


def _check_needed(entity: str, values: Mapping[str, Any]) -> None:
    if entity == "article" and "sku" not in values:
        raise RefusedError("data.sku: an article needs one.")
    if entity in ("order_item", "payment", "shipment") and not {"order_id", "order_number"} & values.keys():
        raise RefusedError("data.order_id: name the order by its order_id or order_number.")
    if entity == "payment" and "amount" not in values:
        raise RefusedError("data.amount: a payment needs one.")
    if entity == "order_item" and not any(values.get(name) for name in ("article_id", "sku", "name")):
        raise RefusedError("data: a line needs an article_id, a sku, or a name.")
