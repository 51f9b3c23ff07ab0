"""An order's parts and sums, as RetailCRM reckons them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.retailcrm.simulator_values import JSON, number

_STUBS = {
    "order": ("id", "externalId", "managerId", "site", "status"),
    "customer": ("id", "externalId", "managerId", "site"),
}


def stub(kind: str, row: JSON) -> JSON:
    """What a history tells of the object of a change."""
    return {name: row[name] for name in _STUBS[kind] if name in row}


def line(item_id: int, given: Mapping[str, Any], now: str) -> JSON:
    """A line of an order. `name`, `article` and so on are those of its offer."""
    rest = copy.deepcopy(dict(given))
    offer = rest.pop("offer", {})
    name = rest.pop("name", None) or rest.get("productName")
    if name:
        offer = {"name": name, "displayName": name, **offer}
    for key in ("article", "xmlId"):
        if key in rest:
            offer[key] = rest.pop(key)
    offer.setdefault("id", item_id + 1000)
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
        "initialPrice": number(rest.get("initialPrice", 0)),
        "quantity": number(rest.get("quantity", 1)),
        "offer": offer,
    }


def refresh(order: JSON, payment_statuses: Mapping[str, JSON]) -> None:
    """Sums and full payment, after lines, delivery or payments have changed."""
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
