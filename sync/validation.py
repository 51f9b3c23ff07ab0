"""Refuses canonical records that the tables of core cannot hold, one record at a time and before anything is written.

PostgreSQL would refuse them too, but only the row that a batch comes to in the end: a value that a later record of the
same batch overwrites would pass, and a replay, with other batches, would give another result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from connectors.errors import SkipRowError
from connectors.records import (
    Batch,
    Customer,
    Offer,
    Order,
    OrderItem,
    OrderItems,
    OrderMarketing,
    OrderPayments,
    Payment,
    Place,
    Product,
    Reversal,
    Source,
    Status,
    StatusEvent,
    StatusGroup,
    Stock,
    Transaction,
)

LONGEST_ID = 255
"""Characters of an id or another text that stands in an index."""
_MOST = Decimal(10) ** 15
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""How a NUL or half of a surrogate pair looks in JSON; whole pairs look so too."""
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_NUMBERS: dict[type, tuple[str, ...]] = {
    Order: ("grand_total", "products_total", "total_discount", "expenses_sum", "shipping_price", "payments_total"),
    OrderItem: ("quantity", "price", "price_sold", "purchased_price", "total_discount"),
    Payment: ("amount",),
    Product: ("price", "purchased_price"),
    Offer: ("price", "purchased_price"),
    Stock: ("in_stock", "in_reserve"),
    Transaction: ("amount",),
}
_IDS: dict[type, tuple[str, ...]] = {
    StatusGroup: ("status_group_id",),
    Status: ("status_id", "status_group_id"),
    Source: ("source_id",),
    Customer: ("customer_id", "phone_e164"),
    Order: ("order_id", "status_id", "status_group_id", "source_id", "source_uuid", "customer_id"),
    StatusEvent: ("order_id", "status_id", "status_group_id"),
    OrderItem: ("sku", "offer_id", "product_id"),
    OrderItems: ("order_id",),
    OrderMarketing: ("order_id",),
    OrderPayments: ("order_id",),
    Payment: ("payment_id", "order_id"),
    Product: ("product_id", "sku"),
    Offer: ("offer_id", "product_id", "sku"),
    Stock: ("offer_id", "sku"),
    Place: ("place_id",),
    Transaction: ("external_id", "customer_id", "phone_e164", "order_id"),
    Reversal: ("external_id",),
}


def _values(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) == 1:
        only = attrgetter(names[0])
        return lambda record: (only(record),)
    return attrgetter(*names)


_number_values = {kind: _values(names) for kind, names in _NUMBERS.items()}
_id_values = {kind: _values(names) for kind, names in _IDS.items()}


def check(batch: Batch, body: str) -> None:
    """Raises SkipRowError if one of the records does not fit; `body` is the raw text that they were read from."""
    for kind, records in (
        (StatusGroup, batch.status_groups),
        (Status, batch.statuses),
        (Source, batch.sources),
        (Customer, batch.customers),
        (Order, batch.orders),
        (StatusEvent, batch.status_events),
        (OrderItems, batch.order_items),
        (OrderMarketing, batch.order_marketing),
        (OrderPayments, batch.order_payments),
        (Product, batch.products),
        (Offer, batch.offers),
        (Stock, batch.stocks),
        (Place, batch.places),
        (Transaction, batch.transactions),
        (Reversal, batch.reversals),
    ):
        if records:
            _check(kind, records)
    for items in batch.order_items:
        _check(OrderItem, items.items)
    for payments in batch.order_payments:
        _check(Payment, payments.payments)
    if _SUSPECT.search(body):
        _check_text(batch)


def _check(kind: type, records: Iterable[Any]) -> None:
    numbers, ids = _number_values.get(kind), _id_values[kind]
    for record in records:
        for value in ids(record):
            if value is not None and len(value) > LONGEST_ID:
                name = next(name for name in _IDS[kind] if getattr(record, name) == value)
                raise SkipRowError(f"The record does not fit: {name} has over {LONGEST_ID} characters.")
        if numbers is not None:
            for value in numbers(record):
                if value is not None and not (value.is_finite() and -_MOST < value < _MOST):
                    name = next(name for name in _NUMBERS[kind] if getattr(record, name) is value)
                    raise SkipRowError(f"The record does not fit: {name} is no number of up to 15 digits.")


def _check_text(batch: Batch) -> None:
    try:
        encoded = msgspec.json.encode(batch)
    except UnicodeEncodeError:
        raise SkipRowError("The record does not fit: it has half of a character (a lone surrogate).") from None
    if _NUL.search(encoded):
        raise SkipRowError("The record does not fit: it has a NUL character.")
