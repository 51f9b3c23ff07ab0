"""The two sides of one object, in words that can be compared.

Values are JSON: text, None, whole numbers, lists and objects of these. Money is text with two digits ("12.50"),
quantities are text without trailing zeros ("1.5"), times are text of UTC in whole seconds ("2026-03-01T08:00:00+00:00":
no CRM keeps more), phones E.164 where they can be read, empty text is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

Entity = Literal["order", "customer", "article", "payment"]
Side = Literal["vms", "crm"]
Value = Any

_CENT, _THOUSANDTH = Decimal("0.01"), Decimal("0.001")

ENTITIES: tuple[Entity, ...] = ("customer", "article", "order", "payment")
"""In the order in which they need each other."""

FIELDS: Mapping[Entity, tuple[str, ...]] = {
    "customer": ("full_name", "phone", "email", "segment", "note"),
    "article": ("sku", "name", "description", "price", "purchased_price", "stock", "barcode", "is_active"),
    "order": (
        "customer", "status", "discount", "shipping_price", "comment", "items",
        "carrier", "tracking_number", "recipient", "phone", "address",
    ),
    "payment": ("amount", "method", "status", "paid_at"),
}  # fmt: skip
"""What is kept in step. `items` is the list of an order's lines; the last five of an order are its newest shipment."""

SHIPMENT_FIELDS = ("carrier", "tracking_number", "recipient", "phone", "address")
"""The triggers of vms log them as one: `shipment`."""

ITEM_FIELDS = ("sku", "name", "quantity", "price", "discount")
"""Of each line; lines are sorted by these, so that their order does not matter."""


@dataclass(frozen=True, slots=True)
class VmsObject:
    entity: Entity
    vms_id: int
    fields: Mapping[str, Value]
    """All of FIELDS. `customer` of an order is the vms id."""
    changed_at: Mapping[str, datetime] = field(default_factory=dict)
    """When a field last changed, of those whose change waits in the outbox."""
    updated_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """What a push needs besides: an order's number, currency, total, ordered_at; a payment's order_id and currency."""


@dataclass(frozen=True, slots=True)
class CrmObject:
    entity: Entity
    crm_id: str
    fields: Mapping[str, Value]
    """In the CRM's own words, such as a status id; those of FIELDS that the CRM tells."""
    as_vms: Mapping[str, Value]
    """The same in the words of vms; a field that cannot be translated (a status without a counterpart) is not here."""
    changed_at: datetime | None = None
    """The CRM's own time of its last change."""
    field_changed_at: Mapping[str, datetime] = field(default_factory=dict)
    """Where it tells the time of one field's change: the status."""
    is_deleted: bool = False
    link: str | None = None
    """The idempotency key that it was created with, if it was created by us."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What an insert into vms needs besides: currency, total, ordered_at."""


def money(value: Decimal | None) -> str | None:
    """With the two digits that vms keeps."""
    return None if value is None else f"{_rounded(value, _CENT):f}"


def quantity(value: Decimal | None) -> str | None:
    """With at most the three digits that vms keeps."""
    return None if value is None else f"{_rounded(value, _THOUSANDTH):f}".rstrip("0").rstrip(".")


def _rounded(value: Decimal, digit: Decimal) -> Decimal:
    """As PostgreSQL's numeric does it, and without a zero below zero."""
    return value.quantize(digit, ROUND_HALF_UP) + 0


def text(value: str | None) -> str | None:
    """Trimmed; None if nothing is left."""
    return (value or "").strip() or None


def moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).replace(microsecond=0).isoformat()


def sorted_lines(lines: Iterable[Mapping[str, Value]]) -> list[dict[str, Value]]:
    """An order's lines of ITEM_FIELDS as its `items`."""
    return sorted(
        ({name: line[name] for name in ITEM_FIELDS} for line in lines),
        key=lambda line: tuple(line[name] or "" for name in ITEM_FIELDS),
    )
