"""What a sequence of canonical records changes in core: pure arithmetic on times, no I/O.

The project's lock makes the flow the only writer, so a batch is decided here on what was read before it, record by
record in order of arrival, and written once per table. The result is that of applying the records one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from connectors.records import (
    Batch,
    Customer,
    Order,
    OrderItems,
    OrderMarketing,
    OrderPayments,
    Reversal,
    StatusEvent,
    Stock,
    Transaction,
)
from database.repositories.core import CUSTOMER_COLUMNS, EventState, OrderState

_ORDER_FIELDS = tuple(name for name in Order.__struct_fields__ if name != "is_complete")
_CUSTOMER_FIELDS = tuple(name for name in CUSTOMER_COLUMNS if name in Customer.__struct_fields__)
_MARKETING_FIELDS = OrderMarketing.__struct_fields__
_order_values = attrgetter(*_ORDER_FIELDS)
_customer_values = attrgetter(*_CUSTOMER_FIELDS)
_marketing_values = attrgetter(*_MARKETING_FIELDS)
_SAME_SECOND = timedelta(seconds=60)
"""Vendors' times are whole seconds: what was read within so long after an order's time may lack a later change of that
second. A minute, for the vendor's clock may be behind ours, and what is read is in core a little later."""
_TRANSACTION_FIELDS = Transaction.__struct_fields__
_transaction_values = attrgetter(*_TRANSACTION_FIELDS)


@dataclass(frozen=True, slots=True)
class Mapped:
    """The canonical records of one raw row."""

    batch: Batch
    origin: str
    """webhook, pull or reread"""
    arrived_at: datetime
    crm: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What core holds of the orders, customers and sources that a batch touches."""

    orders: Mapping[str, OrderState] = field(default_factory=dict)
    customers: Mapping[str, datetime | None] = field(default_factory=dict)
    events: Mapping[str, Sequence[EventState]] = field(default_factory=dict)
    """Only of orders with approximate events."""
    currencies: Mapping[str, str] = field(default_factory=dict)
    """By source id."""
    transactions: Mapping[str, datetime | None] = field(default_factory=dict)
    """`source_updated_at` by external id."""


@dataclass(slots=True)
class Changes:
    """Rows to write, each key at most once."""

    status_groups: dict[str, Any] = field(default_factory=dict)
    statuses: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    customers_partial: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders_partial: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By dedup_key, in order of arrival."""
    items: dict[str, OrderItems] = field(default_factory=dict)
    payments: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By order id."""
    marketing: dict[str, dict[str, Any]] = field(default_factory=dict)
    products: dict[str, Any] = field(default_factory=dict)
    offers: dict[str, Any] = field(default_factory=dict)
    stocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, Any] = field(default_factory=dict)
    transactions: dict[str, dict[str, Any]] = field(default_factory=dict)
    reversals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of transactions that core has already, by external id."""
    rereads: list[tuple[str, str]] = field(default_factory=list)
    """(stream, id) of which core is behind what was hinted."""

    def item_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "order_id": order_id,
                "line_number": number,
                "item_id": item.item_id,
                "product_id": item.product_id,
                "offer_id": item.offer_id,
                "sku": item.sku,
                "name": item.name,
                "quantity": item.quantity,
                "price": item.price,
                "price_sold": item.price_sold,
                "purchased_price": item.purchased_price,
                "total_discount": item.total_discount,
                "unit_type": item.unit_type,
                "properties": item.properties,
            }
            for order_id, lines in self.items.items()
            for number, item in enumerate(lines.items, start=1)
        ]

    def payment_rows(self) -> list[dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        for row in (row for of_order in self.payments.values() for row in of_order):
            if row["payment_id"] not in rows or not row["is_deleted"]:  # gone from one order may be on another
                rows[row["payment_id"]] = row
        return list(rows.values())


def fold(
    project_id: str, currency: str | None, known: Known, records: Sequence[Mapped], *, order_stream: str = "orders"
) -> Changes:
    """The changes that these records make to what is known. `currency` is the project's own."""
    folding = _Folding(project_id, currency, known, order_stream)
    for record in records:
        folding.add(record)
    return folding.finish()


def dedup_key(project_id: str, event: StatusEvent) -> str:
    """Identity of a status event: the same status of the same order at the same instant is one event."""
    parts = (
        project_id,
        event.order_id,
        event.status_changed_at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.status_id,
        event.status_group_id or "",
    )
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def is_not_older(incoming: datetime | None, known: datetime | None) -> bool:
    """Whether a record may overwrite what is known; one without a time counts by its arrival."""
    return incoming is None or known is None or incoming >= known


class _Folding:
    def __init__(self, project_id: str, currency: str | None, known: Known, order_stream: str) -> None:
        self._project_id = project_id
        self._currency = currency
        self._known = known
        self._order_stream = order_stream
        self._currencies = dict(known.currencies)
        self._states: dict[str, OrderState] = {}
        self._customers = dict(known.customers)
        self._transactions = dict(known.transactions)
        self._events: dict[str, list[tuple[str, datetime, str]]] = {}
        self._hints: dict[tuple[str, str], datetime | None] = {}
        self._changes = Changes()

    def add(self, record: Mapped) -> None:
        batch, changes = record.batch, self._changes
        for group in batch.status_groups:
            changes.status_groups[group.status_group_id] = group
        for status in batch.statuses:
            changes.statuses[status.status_id] = status
        for source in batch.sources:
            changes.sources[source.source_id] = source
            if source.currency is None:
                self._currencies.pop(source.source_id, None)
            else:
                self._currencies[source.source_id] = source.currency
        times = {order.order_id: order.source_updated_at for order in batch.orders}
        partial = {order.order_id for order in batch.orders if not order.is_complete}
        currencies: dict[str, str | None] = {}
        for order in batch.orders:
            currencies[order.order_id] = self._order(order)
        if batch.customers:
            newest = max((time for time in times.values() if time is not None), default=None)
            for customer in batch.customers:
                self._customer(customer, newest)
        for items in batch.order_items:
            self._items(items, times.get(items.order_id), record.arrived_at)
        for payments in batch.order_payments:
            self._payments(payments, times.get(payments.order_id), currencies.get(payments.order_id))
        for marketing in batch.order_marketing:
            self._marketing(marketing, times.get(marketing.order_id), is_partial=marketing.order_id in partial)
        for event in batch.status_events:
            self._event(event, record.origin)
        for product in batch.products:
            earlier = changes.products.get(product.product_id)
            if earlier is None or is_not_older(product.source_updated_at, earlier.source_updated_at):
                changes.products[product.product_id] = (
                    product if product.currency else replace(product, currency=self._currency)
                )
        for offer in batch.offers:
            changes.offers[offer.offer_id] = offer
        for stock in batch.stocks:
            self._stock(stock, record.arrived_at)
        for place in batch.places:
            changes.places[place.place_id] = place
        for transaction in batch.transactions:
            self._transaction(transaction, record, currencies)
        for reversal in batch.reversals:
            self._reversal(reversal, record.origin)
        for reread in batch.rereads:
            self._hint(reread.stream, reread.crm_id, times.get(reread.crm_id))

    def finish(self) -> Changes:
        for (stream, crm_id), hinted in self._hints.items():
            state = self._state(crm_id) if stream == self._order_stream else None
            if hinted is None or state is None or _is_behind(state, hinted):
                self._changes.rereads.append((stream, crm_id))
        return self._changes

    def _order(self, order: Order) -> str | None:
        """Note the order unless newer is known; the currency of its money."""
        state = self._state(order.order_id)
        currency = order.currency or (self._currencies.get(order.source_id) if order.source_id else None)
        if currency is None and (order.is_complete or not state.exists):
            currency = self._currency
        if not is_not_older(order.source_updated_at, state.source_updated_at):
            return currency
        # Vendors' times are whole seconds: of one second, what was read whole is the later word.
        is_read = order.source_updated_at is not None and order.source_updated_at == state.items_updated_at
        if is_read and not order.is_complete:
            return currency
        values = dict(zip(_ORDER_FIELDS, _order_values(order), strict=True))
        values["currency"] = currency
        self._write_order(order.order_id, values, is_complete=order.is_complete)
        state.exists = True
        if order.source_updated_at is not None:
            state.source_updated_at = order.source_updated_at
        return currency

    def _write_order(self, order_id: str, values: dict[str, Any], *, is_complete: bool) -> None:
        complete, partial = self._changes.orders, self._changes.orders_partial
        earlier = complete.get(order_id) or partial.get(order_id)
        if is_complete:
            values["has_items"] = False
            if earlier:
                _carry(earlier, values)
            partial.pop(order_id, None)
            complete[order_id] = values
            return
        if earlier is None:
            partial[order_id] = {"has_items": False, "is_deleted": False, **_present(values)}
            return
        was_deleted = earlier["is_deleted"]
        earlier.update(_present(values))
        earlier["is_deleted"] = was_deleted or values.get("is_deleted", False)

    def _customer(self, customer: Customer, order_time: datetime | None) -> None:
        identifier = customer.customer_id
        known = self._customers.get(identifier)
        time = customer.source_updated_at
        if not is_not_older(time or (None if customer.is_complete else order_time), known):
            return
        values = dict(zip(_CUSTOMER_FIELDS, _customer_values(customer), strict=True))
        complete, partial = self._changes.customers, self._changes.customers_partial
        earlier = complete.get(identifier) or partial.get(identifier)
        if customer.is_complete:
            if values["source_updated_at"] is None and earlier:
                values["source_updated_at"] = earlier.get("source_updated_at")
            partial.pop(identifier, None)
            complete[identifier] = values
        elif earlier is None:
            partial[identifier] = {**_present(values), "phones": customer.phones, "emails": customer.emails}
        else:
            was_deleted = earlier["is_deleted"]
            earlier.update(
                {name: value for name, value in _present(values).items() if name not in ("phones", "emails") or value}
            )
            earlier["is_deleted"] = was_deleted or customer.is_deleted
        self._customers[identifier] = time if known is None else known if time is None else max(known, time)

    def _items(self, items: OrderItems, order_time: datetime | None, arrived_at: datetime) -> None:
        time = items.source_updated_at or order_time
        state = self._state(items.order_id)
        if state.has_items and not is_not_older(time, state.items_updated_at):
            return
        self._changes.items[items.order_id] = items
        row = self._order_row(items.order_id)
        row["has_items"] = True
        state.has_items, state.known_at = True, arrived_at
        if time is not None:
            state.items_updated_at = row["items_updated_at"] = time

    def _payments(self, payments: OrderPayments, order_time: datetime | None, currency: str | None) -> None:
        time = payments.source_updated_at or order_time
        state = self._state(payments.order_id)
        if not is_not_older(time, state.payments_updated_at):
            return
        rows = [
            {
                "payment_id": payment.payment_id,
                "order_id": payment.order_id,
                "payment_method_id": payment.payment_method_id,
                "amount": payment.amount,
                "currency": payment.currency or currency or self._currency,
                "status": payment.status,
                "description": payment.description,
                "transaction_uuid": payment.transaction_uuid,
                "paid_at": payment.paid_at,
                "is_deleted": False,
                "source_created_at": payment.source_created_at,
                "source_updated_at": payment.source_updated_at,
            }
            for payment in payments.payments
        ]
        here = {row["payment_id"] for row in rows}
        earlier = self._changes.payments.get(payments.order_id, [])
        gone = [{**row, "is_deleted": True} for row in earlier if row["payment_id"] not in here]
        self._changes.payments[payments.order_id] = gone + rows
        order = self._order_row(payments.order_id)
        if time is not None:
            state.payments_updated_at = order["payments_updated_at"] = time

    def _marketing(self, marketing: OrderMarketing, time: datetime | None, *, is_partial: bool) -> None:
        state = self._state(marketing.order_id)
        if state.has_marketing:
            if not is_not_older(time, state.marketing_updated_at):
                return
            if is_partial and marketing.source == "comment" and state.marketing_source != "comment":
                return  # a flat row has but the comment; what the API told is better
        values = dict(zip(_MARKETING_FIELDS, _marketing_values(marketing), strict=True))
        values["source_updated_at"] = state.marketing_updated_at if time is None else time
        self._changes.marketing[marketing.order_id] = values
        if not state.exists:
            self._order_row(marketing.order_id)
        state.has_marketing, state.marketing_source = True, marketing.source
        if time is not None:
            state.marketing_updated_at = time

    def _event(self, event: StatusEvent, origin: str) -> None:
        key = dedup_key(self._project_id, event)
        if key in self._changes.events:
            return
        if event.is_approximate and not self._is_change(event, key):
            return
        self._events.setdefault(event.order_id, []).append((key, event.status_changed_at, event.status_id))
        self._changes.events[key] = {
            "order_id": event.order_id,
            "status_id": event.status_id,
            "status_group_id": event.status_group_id,
            "status_changed_at": event.status_changed_at,
            "order_created_at": event.order_created_at,
            "source": "history" if event.is_history else origin,
            "is_approximate": event.is_approximate,
            "payload": event.payload,
            "dedup_key": key,
        }

    def _is_change(self, event: StatusEvent, key: str) -> bool:
        """Whether an approximate event says something new: its status is neither the last one known, nor the one in
        force at its time."""
        stored = self._known.events.get(event.order_id, ())
        keys = {known.dedup_key for known in stored}
        if key in keys:
            return False
        history = [(known.status_changed_at, known.event_id, known.status_id) for known in stored]
        arrival = max((known.event_id for known in stored), default=0)
        for other_key, changed_at, status_id in self._events.get(event.order_id, ()):
            if other_key not in keys:
                arrival += 1
                history.append((changed_at, arrival, status_id))
        if not history:
            return True
        last = max(history)
        in_force = max((item for item in history if item[0] <= event.status_changed_at), default=None)
        return last[2] != event.status_id and (in_force is None or in_force[2] != event.status_id)

    def _transaction(self, transaction: Transaction, record: Mapped, currencies: Mapping[str, str | None]) -> None:
        identifier, time = transaction.external_id, transaction.source_updated_at
        if not is_not_older(time, self._transactions.get(identifier)):
            return
        currency = transaction.currency
        if currency is None and transaction.order_id is not None:
            currency = currencies.get(transaction.order_id)
        values = dict(zip(_TRANSACTION_FIELDS, _transaction_values(transaction), strict=True))
        values |= {
            "crm": record.crm,
            "currency": currency or self._currency,
            "state": "active",
            "source": record.origin,
            "source_updated_at": time or self._transactions.get(identifier),
        }
        self._changes.transactions[identifier] = values
        self._changes.reversals.pop(identifier, None)
        self._transactions[identifier] = values["source_updated_at"]

    def _reversal(self, reversal: Reversal, origin: str) -> None:
        identifier, time = reversal.external_id, reversal.source_updated_at
        if identifier not in self._transactions or not is_not_older(time, self._transactions[identifier]):
            return
        time = time or self._transactions[identifier]
        changes = {"state": "reversed", "source": origin, "source_updated_at": time}
        if identifier in self._changes.transactions:
            self._changes.transactions[identifier] |= changes
        else:
            self._changes.reversals[identifier] = {"external_id": identifier, **changes}
        self._transactions[identifier] = time

    def _stock(self, stock: Stock, arrived_at: datetime) -> None:
        earlier = self._changes.stocks.get(stock.offer_id)
        if earlier is None or arrived_at >= earlier["stock_updated_at"]:
            self._changes.stocks[stock.offer_id] = {
                "offer_id": stock.offer_id,
                "sku": stock.sku or (earlier or {}).get("sku"),
                "in_stock": stock.in_stock,
                "in_reserve": stock.in_reserve,
                "stock_updated_at": arrived_at,
            }

    def _hint(self, stream: str, crm_id: str, time: datetime | None) -> None:
        key = (stream, crm_id)
        known = self._hints.get(key, time)
        self._hints[key] = None if known is None or time is None else max(known, time)

    def _order_row(self, order_id: str) -> dict[str, Any]:
        """The row of an order that is to be written; an empty partial one if it is not among the changes."""
        row = self._changes.orders.get(order_id) or self._changes.orders_partial.get(order_id)
        if row is None:
            row = {"order_id": order_id, "has_items": False, "is_deleted": False}
            state = self._state(order_id)
            if not state.exists:
                row["currency"] = self._currency
                state.exists = True
            self._changes.orders_partial[order_id] = row
        return row

    def _state(self, order_id: str) -> OrderState:
        """What is known of the order by now, to be kept up to date."""
        state = self._states.get(order_id)
        if state is None:
            known = self._known.orders.get(order_id)
            state = self._states[order_id] = OrderState() if known is None else copy(known)
        return state


def _is_behind(state: OrderState, hinted: datetime) -> bool:
    """Whether an order that was read whole, if it was, may lack what has happened at that time."""
    if state.items_updated_at is None or state.items_updated_at < hinted:
        return True
    return state.items_updated_at == hinted and (state.known_at is None or state.known_at < hinted + _SAME_SECOND)


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _carry(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    """Keep what a complete order does not say itself: whether and when items and payments were read."""
    later["has_items"] = later["has_items"] or earlier["has_items"]
    for name in ("items_updated_at", "payments_updated_at"):
        if name in earlier:
            later[name] = earlier[name]
    if later["source_updated_at"] is None:
        later["source_updated_at"] = earlier.get("source_updated_at")
