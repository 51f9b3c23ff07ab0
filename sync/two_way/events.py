"""What a drain has changed in core, for those who listen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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
    before: dict[str, OrderState | None] = field(default_factory=dict)
    """Orders as they were before the transaction; None: they were not there."""

    buyers_before: dict[str, str | None] = field(default_factory=dict)
    """What was told of customers; None: they were not there."""

    async def note(
        self,
        connection: Connection,
        project_id: str,
        orders: Iterable[str],
        states: Mapping[str, OrderState],
        customers: Collection[str],
    ) -> None:
        """What is known of orders and customers before they are written: the first word of the transaction stands."""
        for order_id in orders:
            self.before.setdefault(order_id, states.get(order_id))
        buyers = await core_changes.told_of_customers(connection, project_id, customers) if customers else {}
        for customer_id in customers:
            self.buyers_before.setdefault(customer_id, buyers.get(customer_id))

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
        buyers = await core_changes.customers(connection, project_id, drained.customers, drained.buyers_before)
        found.append(("buyer", "customer_id", buyers))
    if drained.offers:
        found.append(("stock", "offer_id", await core_changes.offers(connection, project_id, drained.offers)))
    return [
        NewEvent(project_id, kind, row[key], "crm", row, vms_id=row.pop("vms_id"))
        for kind, key, rows in found
        for row in rows
    ]
