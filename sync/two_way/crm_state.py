"""The state of objects at the CRM, as far as core knows it now.

Core may be behind the CRM, and behind our own writes there: it learns of them by the echo or by the next pull. What it
cannot know now is left out of `CrmObject.fields`, so that it is no change. That is

- what whole records alone tell (lines, delivery, discount), while a webhook has said something since the last one;
- a field that we have written since core last learned something of the object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from connectors.protocol import Vocabulary
from database.connection import Connection
from database.repositories import core, crm_objects, ledger, mappings
from database.repositories.crm_objects import ArticleRow, CustomerRow, LineRow, OrderRow, PaymentRow
from sync.projects import Project
from sync.two_way.objects import CrmObject, Entity, Value, moment, money, quantity, sorted_lines, text
from sync.two_way.statuses import KnownStatus, StatusWords

_CARRIERS = ("delivery_services", "delivery_types")
_METHODS = ("payment_methods", "payment_types")
"""Options of connectors: word of vms -> id at the CRM."""
_PAYMENT_WORDS = frozenset({"pending", "paid", "cancelled", "refunded"})


@dataclass(frozen=True, slots=True)
class Words:
    """A CRM's words -> those of vms."""

    statuses: StatusWords
    payment_statuses: Mapping[str, str]
    carriers: Mapping[str, str]
    methods: Mapping[str, str]
    needs_whole: bool = True
    """Whether an order is told whole by records with lines alone; else there may be none."""

    def payment_status(self, status: str) -> str | None:
        return self.payment_statuses.get(status) or (status if status in _PAYMENT_WORDS else None)


async def status_words(connection: Connection, project: Project) -> StatusWords:
    """The project's statuses, in both directions."""
    rows = await crm_objects.statuses(connection, project.row.project_id)
    known = [KnownStatus(**row) for row in rows]
    return StatusWords(known, project.row.status_map, _vocabulary(project))


async def load(
    connection: Connection, project: Project, entity: Entity, crm_ids: Sequence[str]
) -> dict[str, CrmObject]:
    """The objects of these ids that core knows: order_id, customer_id, offer_id or payment_id."""
    project_id = project.row.project_id
    if not crm_ids:
        return {}
    match entity:
        case "order":
            found = await _orders(connection, project, crm_ids)
        case "customer":
            rows = await crm_objects.customers(connection, project_id, crm_ids)
            found = [(customer(row), row.known_at) for row in rows]
        case "article":
            offers = await crm_objects.articles(connection, project_id, crm_ids)
            found = [(article(row), row.known_at) for row in offers]
        case "payment":
            words = await _words(connection, project)
            paid = await crm_objects.payments(connection, project_id, crm_ids)
            found = [(payment(row, words), row.known_at) for row in paid]
    written = await ledger.written_at(connection, project_id, "crm", entity, crm_ids)
    return {item.crm_id: without_overtaken(item, known_at, written.get(item.crm_id, {})) for item, known_at in found}


async def _orders(connection: Connection, project: Project, crm_ids: Sequence[str]) -> list[tuple[CrmObject, datetime]]:
    project_id = project.row.project_id
    rows = await crm_objects.orders(connection, project_id, crm_ids)
    lines: dict[str, list[LineRow]] = {}
    for line in await crm_objects.lines(connection, project_id, crm_ids):
        lines.setdefault(line.order_id, []).append(line)
    buyers = {row.customer_id for row in rows if row.customer_id is not None}
    linked = await mappings.by_crm_id(connection, project_id, "customer", sorted(buyers))
    customers = {crm_id: mapping.vms_entity_id for crm_id, mapping in linked.items()}
    words = await _words(connection, project)
    return [
        (
            order(row, lines.get(row.order_id, []), words, customers),
            max([row.known_at, *(line.known_at for line in lines.get(row.order_id, []))]),
        )
        for row in rows
    ]


async def _words(connection: Connection, project: Project) -> Words:
    vocabulary = _vocabulary(project)
    options = project.row.options
    return Words(
        statuses=await status_words(connection, project),
        payment_statuses={} if vocabulary is None else vocabulary.payment_statuses,
        carriers=_reversed(options, _CARRIERS),
        methods=_reversed(options, _METHODS),
        needs_whole=vocabulary is not None,
    )


def _vocabulary(project: Project) -> Vocabulary | None:
    """Of a connector that also writes."""
    return getattr(project.connector, "vocabulary", None)


def _reversed(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Id at the CRM -> the first word of vms for it."""
    found: dict[str, str] = {}
    for name in names:
        given = options.get(name)
        for word, crm_id in given.items() if isinstance(given, Mapping) else ():
            found.setdefault(str(crm_id), str(word))
    return found


def without_overtaken(item: CrmObject, known_at: datetime, written: Mapping[str, datetime]) -> CrmObject:
    """Without the fields that we wrote after core last learned something of the object, both by our clock."""
    overtaken = {name for name, at in written.items() if at >= known_at}
    if item.is_deleted or not overtaken & item.fields.keys():
        return item
    return CrmObject(
        item.entity,
        item.crm_id,
        {name: value for name, value in item.fields.items() if name not in overtaken},
        {name: value for name, value in item.as_vms.items() if name not in overtaken},
        changed_at=item.changed_at,
        field_changed_at=item.field_changed_at,
        link=item.link,
        details=item.details,
    )


def order(row: OrderRow, lines: Sequence[LineRow], words: Words, customers: Mapping[str, int]) -> CrmObject:
    """An order; `customers` are ids of vms by those of the CRM. One that the CRM has deleted is cancelled."""
    is_whole = (
        core.is_whole(row.has_items, row.items_updated_at, row.source_updated_at)
        if row.has_items or words.needs_whole
        else True
    )
    fields: dict[str, Value] = {}
    as_vms: dict[str, Value] = {}

    def tell(name: str, value: Value, meaning: Value) -> None:
        fields[name], as_vms[name] = value, meaning

    if row.is_deleted:
        tell("status", None, "CANCELLED")
    elif row.status_id is not None:
        fields["status"] = row.status_id
        word = words.statuses.to_vms(row.status_id, row.status_group_id)
        if word is not None:
            as_vms["status"] = word
    if row.customer_id is not None:
        fields["customer"] = row.customer_id
        if row.customer_id in customers:
            as_vms["customer"] = customers[row.customer_id]
    if is_whole:
        items = sorted_lines(_line(line) for line in lines)
        own = sum((_discount(line) for line in lines), Decimal(0))
        for name, value in {
            "items": items,
            "discount": money(_rest(row.total_discount or Decimal(0), own)),
            "shipping_price": money(row.shipping_price or Decimal(0)),
            "comment": text(row.manager_comment),
            "tracking_number": text(row.tracking_code),
            "recipient": text(row.recipient_name),
            "phone": text(row.recipient_phone_e164),
            "address": _address(row),
        }.items():
            tell(name, value, value)
        fields["carrier"] = row.delivery_service_id
        if row.delivery_service_id is None or (word := _word(row.delivery_service_id, words.carriers)) is not None:
            as_vms["carrier"] = None if row.delivery_service_id is None else word
    changed = {} if row.status_changed_at is None else {"status": row.status_changed_at}
    return CrmObject(
        "order",
        row.order_id,
        fields,
        as_vms,
        changed_at=row.source_updated_at,
        field_changed_at=changed,
        is_deleted=row.is_deleted,
        link=_uuid(row.source_uuid),
        details={
            "is_whole": is_whole,
            "currency": row.currency,
            "total": row.grand_total,
            "payment_status": row.payment_status,
            "ordered_at": row.ordered_at or row.order_created_at,
            "customer_id": row.customer_id,
            "status_id": row.status_id,
        },
    )


def _line(line: LineRow) -> dict[str, Value]:
    price = line.price if line.price is not None else line.price_sold
    return {
        "sku": text(line.sku),
        "name": text(line.name) or text(line.sku),
        "quantity": quantity(line.quantity),
        "price": money(price if price is not None else Decimal(0)),
        "discount": money(_discount(line)),
    }


def _discount(line: LineRow) -> Decimal:
    """Of the whole line."""
    if line.total_discount is not None:
        return line.total_discount
    if line.price is None or line.price_sold is None:
        return Decimal(0)
    return max(Decimal(0), (line.price - line.price_sold) * line.quantity).quantize(Decimal("0.01"))


def _rest(total: Decimal, own: Decimal) -> Decimal:
    """What of a discount is the order's own. One that is negative as a whole stays so, to be refused."""
    return total - own if total < 0 else max(Decimal(0), total - own)


def _address(row: OrderRow) -> str | None:
    """One text; a region or city that the address names already is not put before it."""
    found = text(row.shipping_address) or ""
    for part in (text(row.shipping_city), text(row.shipping_region)):
        if part is not None and not re.search(rf"(?<!\w){re.escape(part)}(?!\w)", found, re.IGNORECASE):
            found = f"{part}, {found}" if found else part
    return found or None


def _word(crm_id: str, known: Mapping[str, str]) -> str | None:
    """The word of vms for an id at the CRM: that of the options, else the id itself where it is a word."""
    return known.get(crm_id) or (None if crm_id.isdigit() else crm_id)


def customer(row: CustomerRow) -> CrmObject:
    """A customer. Of one that is known from orders alone, what is empty is not known."""
    phone = text(row.phone_e164) or next((found for entry in row.phones if (found := text(entry))), None)
    told: dict[str, Value] = {
        "full_name": text(row.full_name),
        "phone": phone,
        "email": text(row.email),
        "note": text(row.note),
    }
    if row.source_created_at is None or row.is_deleted:
        told = {name: value for name, value in told.items() if value is not None}
    return CrmObject(
        "customer",
        row.customer_id,
        told,
        dict(told),
        changed_at=row.source_updated_at,
        is_deleted=row.is_deleted,
        details={"phones": row.phones},
    )


def article(row: ArticleRow) -> CrmObject:
    """An offer with its product. Of one of which only the stock is known, the rest is not told."""
    told: dict[str, Value] = {}
    if (sku := text(row.sku)) is not None:
        told["sku"] = sku
    if row.product_id is not None:
        told |= {"barcode": text(row.barcode), "is_active": not row.is_archived}
    for name, value in (
        ("name", text(row.name)),
        ("price", money(row.price)),
        ("purchased_price", money(row.purchased_price)),
        ("stock", quantity(row.in_stock)),
    ):
        if value is not None:
            told[name] = value
    return CrmObject(
        "article",
        row.offer_id,
        told,
        dict(told),
        field_changed_at={} if row.stock_updated_at is None else {"stock": row.stock_updated_at},
        details={
            "currency": row.currency,
            "is_whole": row.sku is not None or row.product_id is not None or row.price is not None,
        },
    )


def payment(row: PaymentRow, words: Words) -> CrmObject:
    """A payment. One that is no longer on its order is cancelled."""
    fields: dict[str, Value] = {"amount": money(row.amount), "paid_at": moment(row.paid_at)}
    as_vms = dict(fields)
    fields["method"] = row.payment_method_id
    if row.payment_method_id is None:
        as_vms["method"] = None
    elif (method := _word(row.payment_method_id, words.methods)) is not None:
        as_vms["method"] = method
    if row.is_deleted:
        fields["status"], as_vms["status"] = None, "cancelled"
    else:
        fields["status"] = row.status
        if (status := words.payment_status(row.status)) is not None:
            as_vms["status"] = status
    return CrmObject(
        "payment",
        row.payment_id,
        fields,
        as_vms,
        changed_at=row.source_updated_at,
        is_deleted=row.is_deleted,
        link=_uuid(row.transaction_uuid) or _uuid(row.description),
        details={"order_id": row.order_id, "currency": row.currency, "status": row.status},
    )


def _uuid(value: str | None) -> str | None:
    """A key of ours, as text; None if it can be none."""
    try:
        return None if value is None else str(UUID(value.strip()))
    except ValueError:
        return None
