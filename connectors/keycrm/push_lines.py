"""The lines of an order for KeyCRM. Pure. It takes them with a new order; later none can be added or taken away, and
those that are there can be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from connectors.values.fields import Fields

Row = Mapping[str, Any]
CENT = Decimal("0.01")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Lines:
    products: Sequence[Row]
    """For the body; empty: there is nothing to write."""
    as_crm: Sequence[Row] | None = None
    """The lines as KeyCRM will have them, where a discount cannot be had to the cent."""


def new_lines(items: Sequence[Row]) -> Lines:
    """All lines of a new order; a discount is per piece at KeyCRM, and of the whole line in vms."""
    return Lines([_new_line(item) for item in items], _rounded(items))


def changed_lines(items: Sequence[Row], rows: Sequence[Row]) -> Lines | None:
    """What makes the order's lines those of vms; None if lines would have to be added or removed."""
    there = [_Known(Fields(dict(row))) for row in rows]
    pairs = _pairs(items, there)
    if pairs is None:
        return None
    changes = []
    for item, line in pairs:
        change = line.change_to(item)
        if not change:
            continue
        name = line.name_in(there)
        if name is None:
            return None  # the API has no way to say which line is meant
        changes.append({**name, **change})
    return Lines(changes, _rounded(items))


def discount_of_lines(rows: Sequence[Row]) -> Decimal:
    """What the lines take off, all together."""
    return sum((_Known(Fields(dict(row))).discount for row in rows), ZERO)


class _Known:
    """A line that KeyCRM has."""

    def __init__(self, row: Fields) -> None:
        offer = row.child("offer")
        self.line_id = row.id("id")
        self.sku = row.text("sku") or (None if offer is None else offer.text("sku"))
        self.name = row.text("name") or ""
        self.is_one_off = offer is None
        self.quantity = row.quantity("quantity") or ZERO
        self.price = row.money("price") or ZERO
        self.percent = row.money("discount_percent") or ZERO
        self.per_piece = row.money("discount_amount") or ZERO
        total = row.money("total_discount")
        sold = row.money("price_sold")
        if total is None:
            total = ZERO if sold is None else ((self.price - sold) * self.quantity).quantize(CENT, ROUND_HALF_UP)
        self.discount = total
        self.is_taken = False

    def is_named(self, item: Row) -> bool:
        return self.sku == item["sku"] if item["sku"] else self.sku is None and self.name == item["name"]

    def has_all_of(self, item: Row) -> bool:
        return (self.quantity, self.price, self.discount) == (item["quantity"], item["price"], _kept_discount(item))

    def change_to(self, item: Row) -> dict[str, Any]:
        """The fields that differ."""
        change: dict[str, Any] = {}
        if not item["sku"] and self.name != item["name"] and self.is_one_off:
            change["name"] = item["name"]
        if self.has_all_of(item):
            return change
        per_piece = _per_piece(item)
        if self.quantity != item["quantity"]:
            change["quantity"] = item["quantity"]
        if self.price != item["price"]:
            change["price"] = item["price"]
        if self.percent:
            change["discount_percent"] = 0
        if self.percent or self.per_piece != per_piece:
            change["discount_amount"] = per_piece
        return change

    def name_in(self, lines: Sequence[_Known]) -> dict[str, Any] | None:
        """How the API is told which line is meant: the id, which is not documented, else a sku that no other has."""
        if self.line_id is not None:
            return {"id": int(self.line_id) if self.line_id.isdigit() else self.line_id}
        if self.sku is not None and sum(line.sku == self.sku for line in lines) == 1:
            return {"sku": self.sku}
        return None


def _pairs(items: Sequence[Row], lines: Sequence[_Known]) -> list[tuple[Row, _Known]] | None:
    """Each line of vms with its own at KeyCRM: those that are equal first, then those of the same name, then one-offs
    in their order. None if some are left over."""
    pairs: list[tuple[Row, _Known]] = []
    left = list(items)

    def take(is_fit: Any) -> None:
        for item in list(left):
            found = next((line for line in lines if not line.is_taken and is_fit(line, item)), None)
            if found is not None:
                found.is_taken = True
                pairs.append((item, found))
                left.remove(item)

    take(lambda line, item: line.is_named(item) and line.has_all_of(item))
    take(lambda line, item: line.is_named(item))
    take(lambda line, item: line.is_one_off and line.sku is None and not item["sku"])
    return pairs if not left and all(line.is_taken for line in lines) else None


def _new_line(item: Row) -> dict[str, Any]:
    line: dict[str, Any] = {"sku": item["sku"]} if item["sku"] else {}
    line |= {"name": item["name"], "price": item["price"], "quantity": item["quantity"]}
    if per_piece := _per_piece(item):
        line["discount_amount"] = per_piece
    return line


def _per_piece(item: Row) -> Decimal:
    if not item["quantity"]:
        return ZERO
    return (Decimal(item["discount"]) / Decimal(item["quantity"])).quantize(CENT, ROUND_HALF_UP)


def _kept_discount(item: Row) -> Decimal:
    """The line's discount that is left of it in whole cents per piece."""
    return (_per_piece(item) * Decimal(item["quantity"])).quantize(CENT, ROUND_HALF_UP)


def _rounded(items: Sequence[Row]) -> Sequence[Row] | None:
    kept = [{**item, "discount": _kept_discount(item)} for item in items]
    is_exact = all(item["discount"] == line["discount"] for item, line in zip(items, kept, strict=True))
    return None if is_exact else kept
