"""The lines, discounts and payments of an order -> canonical records."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from connectors.records import OrderItem, Payment
from connectors.retailcrm.offers import offer_sku
from connectors.values.fields import Fields

_ORDER_DISCOUNT = "manual_order"
_CENT = Decimal("0.01")


def line_of(line: Fields) -> OrderItem | None:
    """One line; None, with a note, if it has no quantity. Its discount is its own, without its share of the order's."""
    quantity = line.quantity("quantity")
    if quantity is None:
        line.note_missing("quantity")
        return None
    offer = line.child("offer") or Fields({}, line.at("offer"), line.notes)
    price, discount = line.money("initialPrice"), line.money("discountTotal")
    unit = offer.child("unit")
    return OrderItem(
        quantity=quantity,
        item_id=line.id("id"),
        offer_id=offer.id("id"),
        sku=offer_sku(offer),
        name=offer.text("displayName") or offer.text("name") or line.text("productName"),
        price=price,
        # The discount is that of one piece.
        price_sold=None if price is None else price - (discount or 0),
        purchased_price=line.money("purchasePrice"),
        total_discount=None if discount is None else ((discount - _share(line)) * quantity).quantize(_CENT),
        unit_type=None if unit is None else unit.text("code"),
    )


def order_discount(row: Fields) -> Decimal:
    """What an order was discounted as a whole, as far as its lines say that they have a share of it."""
    row = Fields(row.data)  # what is wrong is noted where the lines are read
    lines = row.children("items") or ()
    shared = sum(((line.quantity("quantity") or 0) * _share(line) for line in lines), Decimal(0))
    given = row.money("discountManualAmount")
    # The shares are rounded; what was given is not, unless there is a percentage besides.
    return given if shared and given and not row.money("discountManualPercent") else shared.quantize(_CENT)


def _share(line: Fields) -> Decimal:
    """Of the order's discount, that of one piece."""
    return sum(
        (
            part.money("amount") or Decimal(0)
            for part in line.children("discounts") or ()
            if part.text("type") == _ORDER_DISCOUNT
        ),
        Decimal(0),
    )


def payments_of(row: Fields, order_id: str) -> list[Payment] | None:
    """An object keyed by payment id; empty, or as the answer to a creation, a list. None: nothing is known."""
    value = row.data.get("payments")
    if value is None:
        return None
    entries: Iterable[tuple[str, object]]
    if type(value) is dict:
        entries = [(str(key), entry) for key, entry in value.items()]
    elif type(value) is list:
        entries = [(str(index), entry) for index, entry in enumerate(value)]
    else:
        row.note("payments", "an object", value)
        return None
    found = []
    for key, entry in entries:
        if type(entry) is not dict:
            row.note(f"payments.{key}", "an object", entry)
            continue
        fields = Fields(entry, row.at(f"payments.{key}"), row.notes, row.zone)
        payment_id = fields.id("id") or (key if type(value) is dict else None)
        amount = fields.money("amount")
        if payment_id is None or amount is None:
            fields.note_missing("id", "amount")
            continue
        found.append(
            Payment(
                payment_id=payment_id,
                order_id=order_id,
                amount=amount,
                status=fields.text("status") or "not-paid",
                payment_method_id=fields.id("type"),
                description=fields.text("comment"),
                transaction_uuid=fields.text("externalId"),
                paid_at=fields.time("paidAt"),
            )
        )
    return found
