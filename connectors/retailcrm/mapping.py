"""RetailCRM's JSON -> canonical records. Pure: the same text, zone and currencies give the same records.

Times have no offset: they are in the account's zone. A field of the wrong type becomes None and a `Problem` that names
its path; a record without an id raises SkipRowError.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import (
    Batch,
    Customer,
    Order,
    OrderItem,
    OrderItems,
    OrderMarketing,
    OrderPayments,
    Place,
    Problem,
    Reversal,
    Source,
    Status,
    StatusEvent,
    StatusGroup,
    Transaction,
    deletion,
)
from connectors.retailcrm.client import EXTERNAL, PLACES, STATUS_GROUP, STATUS_HISTORY
from connectors.retailcrm.lines import line_of, order_discount, payments_of
from connectors.retailcrm.offers import map_offer, map_stock
from connectors.retailcrm.statuses import FINAL_GROUPS, vms_status
from connectors.values.fields import INDEXED_LENGTH, Fields
from connectors.values.phones import parse_phone
from connectors.values.stored import read_object, required_id
from connectors.values.times import zone

_UNDONE = ("CANCELLED", "REFUNDED")


def map_record(context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
    """Canonical records of one stored API record. Raises SkipRowError if nothing of it can be read."""
    return map_row(context, stream, crm_id, read_object(stream, crm_id, body))


def map_row(context: MappingContext, stream: str, crm_id: str, row: dict[str, Any]) -> Batch:
    """The same of what an answer has."""
    if stream not in _MAPPERS:
        raise SkipRowError(f"RetailCRM has no stream {stream}")
    id_name, mapper = _MAPPERS[stream]
    fields = Fields(row, zone=zone(context.timezone_of()))
    found_id = "" if id_name is None else required_id(fields, id_name, stream, crm_id)
    batch = Batch()
    mapper(batch, fields, found_id, context)
    batch.problems += [Problem(note, stream, found_id or crm_id) for note in fields.notes]
    return batch


def map_deletion(stream: str, crm_id: str) -> Batch:
    """An order that is gone takes its transaction with it. Of an externalId nothing is known."""
    if crm_id.startswith(EXTERNAL):
        return Batch()
    batch = deletion(stream, crm_id)
    if stream == "orders":
        batch.reversals.append(Reversal(transaction_id(crm_id)))
    return batch


def transaction_id(order_id: str) -> str:
    """The external id of the transaction that a paid order is."""
    return f"RETAILCRM-{order_id}"


def _map_order(batch: Batch, row: Fields, order_id: str, context: MappingContext) -> None:
    if row.flag("deleted"):
        gone = map_deletion("orders", order_id)
        batch.orders, batch.reversals = gone.orders, gone.reversals
        return
    customer = _buyer(row, context)
    if customer is not None:
        batch.customers.append(customer)
    lines, payments = row.children("items"), payments_of(row, order_id)
    items = [line_of(line) for line in lines or ()]
    order = _order(row, order_id, context, customer, items)
    batch.orders.append(order)
    if lines is not None:
        batch.order_items.append(OrderItems(order_id, tuple(item for item in items if item is not None)))
    if payments is not None:
        batch.order_payments.append(OrderPayments(order_id, tuple(payments)))
    changed_at = row.time("statusUpdatedAt")
    if order.status_id is not None and changed_at is not None:
        # The history tells the same to the second of its own; this is for what it has not told yet.
        batch.status_events.append(
            StatusEvent(
                order_id, order.status_id, changed_at, order_created_at=order.order_created_at, is_approximate=True
            )
        )
    _add_sale(batch, row, order, customer, items, context)
    tags = row.child("source")
    if tags is not None:
        marketing = OrderMarketing(
            order_id,
            utm_source=tags.text("source", INDEXED_LENGTH),
            utm_medium=tags.text("medium", INDEXED_LENGTH),
            utm_campaign=tags.text("campaign", INDEXED_LENGTH),
            utm_term=tags.text("keyword", INDEXED_LENGTH),
            utm_content=tags.text("content", INDEXED_LENGTH),
        )
        if marketing != OrderMarketing(order_id):
            batch.order_marketing.append(marketing)


def _order(
    row: Fields, order_id: str, context: MappingContext, customer: Customer | None, items: list[OrderItem | None]
) -> Order:
    empty = Fields({}, "delivery", row.notes, row.zone)
    delivery = row.child("delivery") or empty
    address, data = delivery.child("address") or empty, delivery.child("data") or empty
    site, created_at = row.id("site"), row.time("createdAt")
    discounts = [item.total_discount for item in items if item is not None and item.total_discount is not None]
    if of_order := order_discount(row):
        discounts.append(of_order)
    street = [address.text(name) for name in ("street", "building", "flat")]
    return Order(
        order_id=order_id,
        source_uuid=row.text("externalId", INDEXED_LENGTH),
        source_id=site,
        status_id=row.id("status"),
        status_group_id=row.id(STATUS_GROUP),
        customer_id=None if customer is None else customer.customer_id,
        manager_id=row.id("managerId"),
        grand_total=row.money("totalSumm"),
        products_total=row.money("summ"),
        total_discount=sum(discounts, Decimal("0.00")) if discounts else None,
        shipping_price=delivery.money("cost"),
        payments_total=row.money("prepaySum"),
        currency=row.text("currency") or context.currency_of(site),
        payment_status=_payment_status(row),
        manager_comment=row.text("managerComment"),
        customer_comment=row.text("customerComment"),
        delivery_service_id=delivery.id("code"),
        tracking_code=data.text("trackNumber"),
        shipping_status=data.text("status"),
        shipping_country=address.text("countryIso") or row.text("countryIso"),
        shipping_region=address.text("region"),
        shipping_city=address.text("city"),
        shipping_address=address.text("text") or ", ".join(part for part in street if part) or None,
        shipping_date=row.date("shipmentDate") or delivery.date("date"),
        recipient_name=_name(row),
        recipient_phone_e164=_phone(row.text("phone"), context),
        ordered_at=created_at,
        order_created_at=created_at,
    )


def _payment_status(row: Fields) -> str | None:
    """The order has none of its own: full payment has a time, a part of it an amount. In KeyCRM's words."""
    if row.data.get("fullPaidAt") not in (None, ""):
        return "paid"
    paid = row.money("prepaySum")
    return None if paid is None else "part_paid" if paid > 0 else "not_paid"


def _is_undone(order: Order, context: MappingContext) -> bool:
    """Whether the status means so: by the project's own map, else by the usual one."""
    word = order.status_id and vms_status(order.status_id, order.status_group_id, context.status_map)
    return word in _UNDONE


def _add_sale(
    batch: Batch,
    row: Fields,
    order: Order,
    customer: Customer | None,
    items: list[OrderItem | None],
    context: MappingContext,
) -> None:
    """An order paid in full is a sale; unpaid again, cancelled or refunded it is none any more."""
    paid_at = row.time("fullPaidAt")
    if _is_undone(order, context) or row.data.get("fullPaidAt") in (None, ""):
        batch.reversals.append(Reversal(transaction_id(order.order_id)))
        return
    if paid_at is None or order.grand_total is None:
        row.note_missing("totalSumm")
        return  # a time that cannot be read is noted already
    batch.transactions.append(
        Transaction(
            external_id=transaction_id(order.order_id),
            occurred_at=paid_at,
            amount=order.grand_total,
            currency=order.currency,
            customer_id=order.customer_id,
            phone_e164=order.recipient_phone_e164 or (None if customer is None else customer.phone_e164),
            email=_email(row.text("email")) or (None if customer is None else customer.email),
            description=next((item.name for item in items if item is not None and item.name), None),
            order_id=order.order_id,
        )
    )


def _buyer(row: Fields, context: MappingContext) -> Customer | None:
    """The buyer, as far as the order knows; its own phone and e-mail where the buyer has none."""
    person = row.child("customer")
    customer_id = None if person is None else person.id("id")
    if person is None or customer_id is None:
        return None
    phones, email = _phones(person, context), _email(person.text("email"))
    order_phone = row.text("phone")
    if not phones and order_phone is not None:
        phones = (_phone(order_phone, context) or order_phone,)
    email = email or _email(row.text("email"))
    return Customer(
        customer_id=customer_id,
        full_name=_name(person) or person.text("nickName") or _name(row),
        phone_e164=_first_e164(phones),
        phones=phones,
        email=email,
        emails=(email,) if email else (),
        manager_id=person.id("managerId"),
        is_complete=False,
    )


def _map_customer(batch: Batch, row: Fields, customer_id: str, context: MappingContext) -> None:
    if row.flag("deleted"):
        batch.customers += deletion("customers", customer_id).customers
        return
    phones, email = _phones(row, context), _email(row.text("email"))
    batch.customers.append(
        Customer(
            customer_id=customer_id,
            full_name=_name(row) or row.text("nickName"),
            phone_e164=_first_e164(phones),
            phones=phones,
            email=email,
            emails=(email,) if email else (),
            manager_id=row.id("managerId"),
            birthday=row.date("birthday"),
            note=row.text("commentary"),
            source_created_at=row.time("createdAt"),
        )
    )


def _map_status_change(batch: Batch, row: Fields, entry_id: str, context: MappingContext) -> None:
    """One line of an order's history."""
    order, entered = row.child("order"), row.child("newValue")
    changed_at = row.time("createdAt")
    order_id = None if order is None else order.id("id")
    status_id = None if entered is None else entered.id("code")
    if order is None or order_id is None or status_id is None or changed_at is None:
        if not row.notes:
            row.notes.append("the entry names no order, no status or no time")
        return
    batch.status_events.append(
        StatusEvent(order_id, status_id, changed_at, order_created_at=_time_of(order, "createdAt"), is_history=True)
    )


def _time_of(row: Fields, name: str) -> datetime | None:
    """Only the entry of an order's creation has the whole order."""
    return row.time(name) if name in row else None


def _map_status(batch: Batch, row: Fields, code: str, context: MappingContext) -> None:
    group = row.id("group")
    batch.statuses.append(
        Status(
            status_id=code,
            name=row.text("name") or code,
            status_group_id=group,
            is_closing=group in FINAL_GROUPS,
            is_active=row.flag("active", default=True),
        )
    )


def _map_status_group(batch: Batch, row: Fields, code: str, context: MappingContext) -> None:
    batch.status_groups.append(StatusGroup(code, row.text("name") or code))


def _map_site(batch: Batch, row: Fields, code: str, context: MappingContext) -> None:
    name, currency = row.text("name") or code, row.text("currency")
    batch.sources.append(Source(code, name, driver="site", currency=currency))
    batch.places.append(Place(code, name, currency=currency))


def _map_settings(batch: Batch, row: Fields, _: str, context: MappingContext) -> None:
    """The account's own zone and currency, which go before the project's."""
    name, currency = (None if child is None else child.text("value") for child in _settings(row))
    if name is not None:
        try:
            zone(name)
        except ValueError as error:
            row.notes.append(f"timezone.value: {error}")
            name = None
    batch.places.append(Place("", timezone=name, currency=currency))


def _settings(row: Fields) -> tuple[Fields | None, Fields | None]:
    return row.child("timezone"), row.child("default_currency")


def _name(row: Fields) -> str | None:
    parts = (row.text("firstName"), row.text("patronymic"), row.text("lastName"))
    return " ".join(part for part in parts if part) or None


def _phones(row: Fields, context: MappingContext) -> tuple[str, ...]:
    """In E.164 where they can be read, each once."""
    numbers = [number for entry in row.children("phones") or () if (number := entry.text("number")) is not None]
    return tuple(dict.fromkeys(_phone(number, context) or number for number in numbers))


def _first_e164(phones: tuple[str, ...]) -> str | None:
    return next((found for phone in phones if (found := parse_phone(phone)) is not None), None)


def _phone(text: str | None, context: MappingContext) -> str | None:
    return None if text is None else parse_phone(text, context.region)


def _email(text: str | None) -> str | None:
    """As addresses are compared: without spaces, in small letters."""
    return None if text is None else text.strip().lower() or None


_MAPPERS: dict[str, tuple[str | None, Callable[[Batch, Fields, str, MappingContext], None]]] = {
    "orders": ("id", _map_order),
    "customers": ("id", _map_customer),
    STATUS_HISTORY: ("id", _map_status_change),
    "statuses": ("code", _map_status),
    "status_groups": ("code", _map_status_group),
    "sources": ("code", _map_site),
    PLACES: (None, _map_settings),
    "offers": ("id", map_offer),
    "stocks": ("id", map_stock),
}
