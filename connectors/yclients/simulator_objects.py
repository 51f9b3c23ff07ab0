"""What the simulated company consists of. Times are aware."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

JSON = dict[str, Any]
SERVICE_INCOME = 5
"""The expense id that payments for services have."""


@dataclass(slots=True)
class Client:
    id: int
    name: str
    phone: str
    email: str
    surname: str
    birth_date: str
    comment: str
    changed: datetime
    is_deleted: bool = False


@dataclass(slots=True)
class Line:
    """A service in a record."""

    service_id: int
    title: str
    price: Decimal
    """Before the discount."""
    discount: int = 0
    amount: int = 1

    @property
    def cost(self) -> Decimal:
        return self.price * self.amount * (100 - self.discount) / 100


@dataclass(slots=True)
class Visit:
    """A record ("запись")."""

    id: int
    visit_id: int
    client_id: int | None
    staff_id: int
    lines: list[Line]
    start: datetime
    created: datetime
    changed: datetime
    paid_full: bool = False
    deleted: bool = False
    attendance: int = 0
    comment: str = ""
    online: bool = False
    activity_id: int = 0
    extra: JSON = field(default_factory=dict)
    """Fields that replace what would be shown, such as a top-level `cost`."""


@dataclass(slots=True)
class Payment:
    """A finance transaction."""

    id: int
    record_id: int | None
    client_id: int | None
    amount: Decimal
    at: datetime
    changed: datetime
    account_id: int = 1
    comment: str = ""
    deleted: bool = False
