"""What was written through the simulated API, counted: tests prove by it that nothing was sent twice.

Only what was applied counts, also where its answer was then lost. What users do in the UI is not here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from connectors.keycrm.simulator_values import JSON


@dataclass(slots=True)
class Writes:
    """Part of `SimulatorState`, under its lock."""

    orders: Counter[str] = field(default_factory=Counter)
    """Orders created, by `source_uuid`; empty: without one."""
    payments: Counter[str] = field(default_factory=Counter)
    """Payments added, by `description`."""
    buyers: Counter[str] = field(default_factory=Counter)
    """Buyers created through /buyer or with an order, by their first phone, else e-mail, else name."""
    products: Counter[str] = field(default_factory=Counter)
    """Products created, by sku."""
    statuses: dict[int, list[int]] = field(default_factory=dict)
    """By order: the statuses that PUT brought it to, one after the other; what it was in already is here too."""
    tracking_codes: dict[int, list[str]] = field(default_factory=dict)
    payment_statuses: dict[int, list[str]] = field(default_factory=dict)
    """By payment."""
    prices: dict[int, list[int | float]] = field(default_factory=dict)
    """By offer: the prices that PUT /offers gave it."""
    stocks: dict[int, list[int | float]] = field(default_factory=dict)
    """By offer: the quantities that PUT /offers/stocks gave it."""

    def twice(self) -> JSON:
        """What was made more than once; empty if nothing was."""
        made = {"orders": self.orders, "payments": self.payments, "buyers": self.buyers, "products": self.products}
        found = {
            kind: {name: times for name, times in counts.items() if name and times > 1} for kind, counts in made.items()
        }
        return {kind: names for kind, names in found.items() if names}

    def clear(self) -> None:
        for counts in (self.orders, self.payments, self.buyers, self.products):
            counts.clear()
        for changes in (
            self.statuses,
            self.tracking_codes,
            self.payment_statuses,
            self.prices,
            self.stocks,
        ):
            changes.clear()

    def as_json(self) -> JSON:
        return {
            "orders_created": self.orders.total(),
            "payments_added": self.payments.total(),
            "buyers_created": self.buyers.total(),
            "products_created": self.products.total(),
            "status_changes": sum(map(len, self.statuses.values())),
            "tracking_codes_set": sum(map(len, self.tracking_codes.values())),
            "payment_status_changes": sum(map(len, self.payment_statuses.values())),
            "prices_set": sum(map(len, self.prices.values())),
            "stocks_set": sum(map(len, self.stocks.values())),
            "made_twice": self.twice(),
        }
