"""An order's parts and sums, as RetailCRM reckons them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.retailcrm.simulator_values import JSON, number

OWN_DISCOUNT = "ownDiscount"
"""Of a line, never shown: what a piece is discounted besides its share of the order's discount."""

_UNLISTED = 1_000_000
"""From here on are the offers of lines that are not in the catalogue."""
_STUBS = {
    "order": ("id", "externalId", "managerId", "site", "status"),
    "customer": ("id", "externalId", "managerId", "site"),
}


def stub(kind: str, row: JSON) -> JSON:
    """What a history tells of the object of a change."""
    return {name: row[name] for name in _STUBS[kind] if name in row}


def child_stub(row: JSON) -> Any:
    """The same of a line or payment."""
    return {name: value for name, value in row.items() if name in ("id", "type", "externalId", "offer")}


def line(item_id: int, given: Mapping[str, Any], now: str) -> JSON:
    """A line of an order. `name`, `article` and so on are those of its offer."""
    rest = copy.deepcopy(dict(given))
    own = rest.pop(OWN_DISCOUNT, rest.get("discountTotal", 0))
    own = rest.pop("discountManualAmount", own)
    offer = rest.pop("offer", {})
    name = rest.pop("name", None) or rest.get("productName")
    if name:
        offer = {"name": name, "displayName": name, **offer}
    for key in ("article", "xmlId"):
        if key in rest:
            offer[key] = rest.pop(key)
    offer.setdefault("id", item_id + _UNLISTED)
    offer.setdefault("unit", {"code": "pc", "name": "Штука", "sym": "шт."})
    return {
        "discountTotal": 0,
        "prices": [],
        "vatRate": "none",
        "createdAt": now,
        "status": "new",
        "properties": [],
        "purchasePrice": 0,
        **rest,
        "id": item_id,
        OWN_DISCOUNT: number(own),
        "initialPrice": number(rest.get("initialPrice", 0)),
        "quantity": number(rest.get("quantity", 1)),
        "offer": offer,
    }


def _share_out(order: JSON) -> None:
    """The order's own discount among its lines: of one piece, to the cent."""
    lines = [
        (item, _decimal(item["initialPrice"]) - _decimal(item[OWN_DISCOUNT]), _decimal(item["quantity"]))
        for item in order["items"]
    ]
    full = sum((price * quantity for _, price, quantity in lines), Decimal(0))
    discount = _decimal(order.get("discountManualAmount") or 0)
    discount += full * _decimal(order.get("discountManualPercent") or 0) / 100
    for item, price, _ in lines:
        share = number(discount * price / full) if full else 0
        parts = (("manual_product", item[OWN_DISCOUNT]), ("manual_order", share))
        item["discounts"] = [{"type": kind, "amount": amount} for kind, amount in parts if amount]
        item["discountTotal"] = number(_decimal(item[OWN_DISCOUNT]) + _decimal(share))


def shown(order: JSON) -> JSON:
    """A copy as the API has it: without what is not there."""
    body = {name: copy.deepcopy(value) for name, value in order.items() if value is not None and name != "customer_id"}
    for item in body["items"]:
        del item[OWN_DISCOUNT]
    # PHP writes an empty object as an empty list.
    body["payments"] = {str(key): value for key, value in body["payments"].items()} or []
    return body


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def refresh(order: JSON, payment_statuses: Mapping[str, JSON]) -> None:
    """Sums and full payment, after lines, discounts, delivery or payments have changed."""
    _share_out(order)
    summ = sum(
        (
            (Decimal(str(item["initialPrice"])) - Decimal(str(item["discountTotal"]))) * Decimal(str(item["quantity"]))
            for item in order["items"]
        ),
        Decimal(0),
    )
    total = summ + Decimal(str(order["delivery"].get("cost", 0)))
    complete = [
        payment
        for payment in order["payments"].values()
        if payment_statuses.get(payment["status"], {}).get("paymentComplete")
    ]
    paid = sum((Decimal(str(payment["amount"])) for payment in complete), Decimal(0))
    order["summ"], order["totalSumm"], order["prepaySum"] = number(summ), number(total), number(paid)
    order["purchaseSumm"] = number(
        sum(
            (Decimal(str(item["purchasePrice"])) * Decimal(str(item["quantity"])) for item in order["items"]),
            Decimal(0),
        )
    )
    order.pop("fullPaidAt", None)
    if complete and paid >= total:
        order["fullPaidAt"] = max(payment["paidAt"] for payment in complete)
