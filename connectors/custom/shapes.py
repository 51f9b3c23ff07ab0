"""What a definition consists of, compiled. `definition.py` reads it from settings; README.md explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from connectors.custom.documents import Format
from connectors.custom.expressions import Expression
from connectors.custom.sandbox import Template

AuthType = Literal["none", "basic", "bearer", "header", "oauth2"]
PagingType = Literal["none", "page", "offset", "cursor", "next_link"]

TRANSACTIONS, ORDERS, CUSTOMERS = "transactions", "orders", "customers"

FIELDS: Mapping[str, Mapping[str, str]] = {
    TRANSACTIONS: {
        "id": "id", "occurred_at": "time", "amount": "money", "currency": "text", "customer_id": "id",
        "phone": "phone", "email": "text", "description": "text", "order_id": "id", "is_reversed": "flag",
        "updated_at": "time",
    },
    ORDERS: {
        "id": "id", "status": "id", "status_group": "id", "status_changed_at": "time", "created_at": "time",
        "updated_at": "time", "ordered_at": "time", "total": "money", "discount": "money", "paid": "money",
        "currency": "text", "customer_id": "id", "customer_name": "text", "phone": "phone", "email": "text",
        "manager_id": "id", "comment": "text", "payment_status": "text", "tracking_code": "text",
        "is_deleted": "flag",
    },
    CUSTOMERS: {
        "id": "id", "full_name": "text", "phone": "phone", "email": "text", "note": "text", "manager_id": "id",
        "created_at": "time", "updated_at": "time", "is_deleted": "flag",
    },
}  # fmt: skip
"""Fields of each entity, and the type of each."""
REQUIRED: Mapping[str, tuple[str, ...]] = {
    TRANSACTIONS: ("id", "occurred_at", "amount"),
    ORDERS: ("id",),
    CUSTOMERS: ("id",),
}
TYPES: Mapping[str, tuple[str, ...]] = {"time": ("time", "epoch"), "money": ("money", "minor")}
"""Types that a field of some type may be given as; others are given as themselves."""
PLACED_BY: Mapping[str, tuple[str, ...]] = {
    TRANSACTIONS: ("occurred_at",),
    ORDERS: ("ordered_at", "created_at", "updated_at"),
    CUSTOMERS: ("created_at", "updated_at"),
}
"""The fields that say on which day of a backfill a record belongs; the first one that a record has."""


@dataclass(frozen=True)
class Auth:
    type: AuthType = "none"
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Role (token, username, password, value, client_id, client_secret) -> name of the project's credential."""
    header: str = ""
    token_url: str = ""
    scope: str | None = None


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    expression: Expression | None
    """None: `value` is given."""
    value: str | None = None
    """The same for every record."""
    format: str | None = None
    """strptime's, of a time."""
    decimal_mark: Literal[".", ","] | None = None


@dataclass(frozen=True)
class Paging:
    type: PagingType = "none"
    param: str = ""
    size_param: str | None = None
    size: int | None = None
    start: int = 1
    """Number of the first page."""
    next: Expression | None = None
    """Where an answer has the next cursor, or the link to the next page."""
    total: Expression | None = None
    """Where an answer tells how many records there are."""


@dataclass(frozen=True)
class Incremental:
    param: str | None
    """None: the path's template has `{{ since }}`."""
    field: str
    """The field that has what the parameter is compared with."""
    format: str
    """iso, date, epoch, epoch_ms, or strftime's"""
    overlap_minutes: int


@dataclass(frozen=True)
class One:
    """How one record is read."""

    path: Template
    record: Expression


@dataclass(frozen=True)
class Entity:
    name: str
    path: Template
    params: Mapping[str, Template]
    records: Expression
    fields: Mapping[str, Field]
    paging: Paging
    incremental: Incremental | None
    one: One | None
    webhook: Expression | None
    """Where a webhook's payload has records of this entity."""
    volatile: frozenset[str]
    """Names in a record that change by themselves."""
    lists_all: bool
    """The list without a time is every record there is: what is not on it was deleted."""
    fingerprint: str
    """Of what decides which records come, and in which order."""

    @property
    def keeps_response(self) -> bool:
        return any("response" in one.expression.names for one in self.fields.values() if one.expression is not None)


@dataclass(frozen=True)
class Definition:
    format: Format
    auth: Auth
    headers: Mapping[str, str]
    allow_hosts: tuple[str, ...]
    max_response_bytes: int
    rate_limit: tuple[int, float]
    entities: Mapping[str, Entity]
