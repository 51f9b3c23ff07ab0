"""What was ordered, in a line for people: items with their modifiers, compounds of two halves, discounts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from connectors.values.fields import Fields

LONGEST = 500
_DEEPEST = 8


def describe(order: Fields) -> str | None:
    """`Soup x2 (Bread), Margherita / Pepperoni (Cheese), Delivery; discounts: Loyalty 10 80.00`; None if it names
    nothing. Items that were taken off the order are left out."""
    lines = [line for item in order.children("items") or () if (line := _item(item, 0)) is not None]
    text = ", ".join(lines)
    discounts = [line for entry in order.children("discounts") or () if (line := _discount(entry)) is not None]
    if discounts:
        text = f"{text}{'; ' if text else ''}discounts: {', '.join(discounts)}"
    if len(text) > LONGEST:
        text = text[: LONGEST - 1].rstrip(" ,;") + "…"
    return text or None


def _item(item: Fields, depth: int) -> str | None:
    if item.data.get("deleted"):
        return None
    name = _name(item)
    extras = list(_extras(item, depth))
    primary, secondary = item.child("primaryComponent"), item.child("secondaryComponent")
    if primary is not None or secondary is not None:
        halves = [half for half in (primary, secondary) if half is not None]
        name = " / ".join(part for half in halves if (part := _name(half)) is not None) or name
        for half in halves:
            extras += _extras(half, depth)
    if name is None:
        return ", ".join(extras) or None
    amount = item.quantity("amount")
    shown = "" if amount is None or amount == 1 else f" x{_plain(amount)}"
    inside = f" ({', '.join(extras)})" if extras else ""
    return f"{name}{shown}{inside}"


def _extras(item: Fields, depth: int) -> Iterator[str]:
    """Modifiers, those of both halves of a compound, and items inside an item."""
    if depth >= _DEEPEST:
        return
    for field in ("modifiers", "commonModifiers", "items"):
        for inner in item.children(field) or ():
            if (line := _item(inner, depth + 1)) is not None:
                yield line


def _name(item: Fields) -> str | None:
    for field in ("product", "service"):
        if (named := item.child(field)) is not None and (name := named.text("name") or named.id("id")) is not None:
            return name
    return item.text("name")


def _discount(entry: Fields) -> str | None:
    kind, amount = entry.child("discountType"), entry.money("sum")
    name = (None if kind is None else kind.text("name")) or entry.text("name")
    if name is None and amount is None:
        return None
    return " ".join(part for part in (name, None if amount is None else str(amount)) if part is not None)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
