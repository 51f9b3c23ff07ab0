"""What a drain has changed in core, for those who listen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from database.connection import Connection
from database.repositories import core_changes
from database.repositories.core import OrderState
from database.repositories.stream_events import Kind, NewEvent
from sync.folding import Changes


@dataclass(slots=True)
class Drained:
    """Ids of the CRM that a transaction has written to core; whether they changed is seen at its end."""

    orders: set[str] = field(default_factory=set)
    """Of payments too: one that has left its order is known by it alone."""
    customers: set[str] = field(default_factory=set)
    offers: set[str] = field(default_factory=set)
    before: dict[str, str] = field(default_factory=dict)
    """What was told of orders before the transaction, by id."""

    def note(self, states: Mapping[str, OrderState]) -> None:
        """What is known of orders before they are written: the first word of the transaction stands."""
        for order_id, state in states.items():
            self.before.setdefault(order_id, state.told or "")

    def add(self, changes: Changes) -> None:
        for orders in (changes.orders, changes.orders_partial, changes.items, changes.payments):
            self.orders.update(orders)
        for customers in (changes.customers, changes.customers_partial):
            self.customers.update(customers)
        for offers in (changes.offers, changes.stocks):
            self.offers.update(offers)


async def changes_of_core(connection: Connection, project_id: str, drained: Drained) -> list[NewEvent]:
    """What really changed of it in this transaction, each object once. A payload is ids, statuses, sums and times."""
    found: list[tuple[Kind, str, list[dict[str, Any]]]] = []
    if drained.orders:
        orders = await core_changes.orders(connection, project_id, drained.orders, drained.before)
        found.append(("order", "order_id", orders))
        found.append(("payment", "payment_id", await core_changes.payments(connection, project_id, drained.orders)))
    if drained.customers:
        found.append(("buyer", "customer_id", await core_changes.customers(connection, project_id, drained.customers)))
    if drained.offers:
        found.append(("stock", "offer_id", await core_changes.offers(connection, project_id, drained.offers)))
    return [
        NewEvent(project_id, kind, row[key], "crm", row, vms_id=row.pop("vms_id"))
        for kind, key, rows in found
        for row in rows
    ]
