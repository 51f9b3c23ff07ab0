"""What a drain has changed in core, for those who listen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from database.connection import Connection
from database.repositories import core_changes
from database.repositories.core import OrderState
from database.repositories.stream_events import NewEvent
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
    events: list[NewEvent] = []
    if drained.orders:
        rows = await core_changes.orders(connection, project_id, drained.orders, drained.before)
        events += [NewEvent(project_id, "order", row["order_id"], "crm", row, vms_id=row.pop("vms_id")) for row in rows]
        rows = await core_changes.payments(connection, project_id, drained.orders)
        events += [
            NewEvent(project_id, "payment", row["payment_id"], "crm", row, vms_id=row.pop("vms_id")) for row in rows
        ]
    if drained.customers:
        rows = await core_changes.customers(connection, project_id, drained.customers)
        events += [
            NewEvent(project_id, "buyer", row["customer_id"], "crm", row, vms_id=row.pop("vms_id")) for row in rows
        ]
    if drained.offers:
        rows = await core_changes.offers(connection, project_id, drained.offers)
        events += [NewEvent(project_id, "stock", row["offer_id"], "crm", row, vms_id=row.pop("vms_id")) for row in rows]
    return events
