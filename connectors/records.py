"""The canonical records that every connector maps to: one struct per `core` table.

Ids are the vendor's own, as text. Times are timezone-aware, in UTC. Money is `Decimal` with two digits.
`None` in a *complete* order means the CRM says there is none; in a partial one (`Order.is_complete` false, as from a
webhook's flat row) it means unknown, and what is known already stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec


class StatusGroup(msgspec.Struct, frozen=True, gc=False):
    status_group_id: str
    name: str


class Status(msgspec.Struct, frozen=True, gc=False):
    status_id: str
    name: str
    alias: str | None = None
    status_group_id: str | None = None
    is_closing: bool = False
    is_active: bool = True


class Source(msgspec.Struct, frozen=True, gc=False):
    source_id: str
    name: str
    alias: str | None = None
    driver: str | None = None
    currency: str | None = None


class Customer(msgspec.Struct, frozen=True, gc=False):
    customer_id: str
    full_name: str | None = None
    phone_e164: str | None = None
    phones: tuple[str, ...] = ()
    email: str | None = None
    emails: tuple[str, ...] = ()
    company_id: str | None = None
    manager_id: str | None = None
    birthday: date | None = None
    note: str | None = None
    is_deleted: bool = False
    source_created_at: datetime | None = None
    source_updated_at: datetime | None = None
    is_complete: bool = True
    """False for the few fields of a buyer inside an order."""


class Order(msgspec.Struct, frozen=True, gc=False):
    order_id: str
    parent_id: str | None = None
    source_uuid: str | None = None
    source_id: str | None = None
    status_id: str | None = None
    status_group_id: str | None = None
    customer_id: str | None = None
    manager_id: str | None = None
    grand_total: Decimal | None = None
    products_total: Decimal | None = None
    total_discount: Decimal | None = None
    expenses_sum: Decimal | None = None
    shipping_price: Decimal | None = None
    payments_total: Decimal | None = None
    currency: str | None = None
    payment_status: str | None = None
    promocode: str | None = None
    manager_comment: str | None = None
    customer_comment: str | None = None
    delivery_service_id: str | None = None
    tracking_code: str | None = None
    shipping_status: str | None = None
    shipping_country: str | None = None
    shipping_region: str | None = None
    shipping_city: str | None = None
    shipping_address: str | None = None
    shipping_date: date | None = None
    recipient_name: str | None = None
    recipient_phone_e164: str | None = None
    is_deleted: bool = False
    ordered_at: datetime | None = None
    order_created_at: datetime | None = None
    closed_at: datetime | None = None
    source_updated_at: datetime | None = None
    is_complete: bool = True


class StatusEvent(msgspec.Struct, frozen=True, gc=False):
    order_id: str
    status_id: str
    status_changed_at: datetime
    status_group_id: str | None = None
    order_created_at: datetime | None = None
    is_history: bool = False
    """Read from the CRM's own log of changes, not from an object's current status."""
    is_approximate: bool = False
    """The API gave no time of the change: `status_changed_at` is the record's `updated_at`, and the event counts only
    if the status differs from the last one known."""
    payload: Any = None
    """What the CRM sent, as JSON, where it is an event of its own (a webhook); None for a pulled order."""


class OrderItem(msgspec.Struct, frozen=True, gc=False):
    quantity: Decimal
    item_id: str | None = None
    product_id: str | None = None
    offer_id: str | None = None
    sku: str | None = None
    name: str | None = None
    price: Decimal | None = None
    price_sold: Decimal | None = None
    purchased_price: Decimal | None = None
    total_discount: Decimal | None = None
    unit_type: str | None = None
    properties: Sequence[Any] = ()


class OrderItems(msgspec.Struct, frozen=True, gc=False):
    """All lines of one order: they replace what was known."""

    order_id: str
    items: tuple[OrderItem, ...]
    source_updated_at: datetime | None = None


class OrderMarketing(msgspec.Struct, frozen=True, gc=False):
    order_id: str
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    fbclid: str | None = None
    gclid: str | None = None
    source: str = "api"
    """`api`, or `comment` when parsed from the manager's comment."""


class Payment(msgspec.Struct, frozen=True, gc=False):
    payment_id: str
    order_id: str
    amount: Decimal
    status: str
    payment_method_id: str | None = None
    currency: str | None = None
    description: str | None = None
    transaction_uuid: str | None = None
    paid_at: datetime | None = None
    source_created_at: datetime | None = None
    source_updated_at: datetime | None = None


class OrderPayments(msgspec.Struct, frozen=True, gc=False):
    """All payments of one order: one that is known and not among them is marked deleted."""

    order_id: str
    payments: tuple[Payment, ...]
    source_updated_at: datetime | None = None


class Product(msgspec.Struct, frozen=True, gc=False):
    product_id: str
    name: str
    sku: str | None = None
    category_id: str | None = None
    price: Decimal | None = None
    purchased_price: Decimal | None = None
    currency: str | None = None
    is_archived: bool = False
    source_updated_at: datetime | None = None


class Offer(msgspec.Struct, frozen=True, gc=False):
    offer_id: str
    product_id: str | None = None
    sku: str | None = None
    barcode: str | None = None
    price: Decimal | None = None
    purchased_price: Decimal | None = None
    properties: Sequence[Any] = ()
    is_archived: bool = False


class Stock(msgspec.Struct, frozen=True, gc=False):
    """Quantities of one offer, summed over warehouses; the offer may not be known yet."""

    offer_id: str
    in_stock: Decimal
    in_reserve: Decimal
    sku: str | None = None


class Place(msgspec.Struct, frozen=True, gc=False):
    """A company, clinic, terminal or the whole account, as far as it has a zone or a currency of its own."""

    place_id: str
    """The vendor's id; empty for the account itself."""
    name: str | None = None
    timezone: str | None = None
    """IANA name; goes before the project's for reading times."""
    currency: str | None = None


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """A sale. What counts as one, and how it is named, is said in the connector's README."""

    external_id: str
    """Unique in the project, such as `YCLIENTS-17`; the same record has the same one for ever."""
    occurred_at: datetime
    amount: Decimal
    currency: str | None = None
    """None: that of the place or project."""
    customer_id: str | None = None
    phone_e164: str | None = None
    email: str | None = None
    description: str | None = None
    order_id: str | None = None
    is_medical: bool = False
    source_updated_at: datetime | None = None


class Reversal(msgspec.Struct, frozen=True, gc=False):
    """The record is no sale (any more): cancelled, unpaid again or deleted. Says nothing of a sale never seen."""

    external_id: str
    source_updated_at: datetime | None = None


class Reread(msgspec.Struct, frozen=True, gc=False):
    """A payload was only a hint: ask the CRM for the whole object."""

    stream: str
    crm_id: str
    fingerprint: bytes | None = None
    """Of what the payload tells of the object. If a write of ours left the same one, there is nothing new to read."""


class Problem(msgspec.Struct, frozen=True, gc=False):
    """A part of a payload that could not be read; becomes a dead letter, the rest of the payload is applied."""

    reason: str
    stream: str | None = None
    crm_id: str | None = None


@dataclass(slots=True)
class Batch:
    """What one raw payload becomes."""

    status_groups: list[StatusGroup] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    status_events: list[StatusEvent] = field(default_factory=list)
    order_items: list[OrderItems] = field(default_factory=list)
    order_marketing: list[OrderMarketing] = field(default_factory=list)
    order_payments: list[OrderPayments] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    stocks: list[Stock] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    reversals: list[Reversal] = field(default_factory=list)
    rereads: list[Reread] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def deletion(stream: str, crm_id: str) -> Batch:
    """What it means for orders and customers that the CRM has no such object any more."""
    if stream == "orders":
        return Batch(orders=[Order(order_id=crm_id, is_deleted=True, is_complete=False)])
    if stream == "customers":
        return Batch(customers=[Customer(customer_id=crm_id, is_deleted=True, is_complete=False)])
    return Batch()
