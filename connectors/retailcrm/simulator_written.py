"""What the simulated API was sent and did, so that tests can tell that nothing was sent twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Written:
    """How often each thing was done by requests; by key, which is the externalId where one was given."""

    orders: Counter[str] = field(default_factory=Counter)
    """Created; likewise customers and payments."""
    customers: Counter[str] = field(default_factory=Counter)
    payments: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Edits that named a status, by order and status."""
    edits: Counter[str] = field(default_factory=Counter)
    """By kind: order, customer, payment."""
    stocks: Counter[int] = field(default_factory=Counter)
    """Uploads, by offer; likewise prices."""
    prices: Counter[int] = field(default_factory=Counter)

    @property
    def twice(self) -> dict[str, int]:
        """What was created more than once."""
        made = self.orders + self.customers + self.payments
        return {key: count for key, count in made.items() if count > 1}
