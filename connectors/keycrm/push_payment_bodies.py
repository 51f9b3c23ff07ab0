"""Bodies that write payments, and what KeyCRM's answers tell of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.keycrm.push_order_bodies import Built, stamp
from connectors.keycrm.push_words import PAYMENT_STATUSES, number_of
from connectors.protocol import Change
from connectors.values.fields import Fields

Row = Mapping[str, Any]

UNNAMED_METHOD = "VMS"
"""KeyCRM wants a method with each payment, by id or by name."""
CHANGEABLE = frozenset({"status"})
_STAYS = {
    "amount": "KeyCRM does not change the amount of a payment: cancel this one in vms and add another",
    "method": "KeyCRM does not change how a payment was made: change it in KeyCRM's own pages",
    "paid_at": "KeyCRM does not change when a payment was made: change it in KeyCRM's own pages",
}


def new_payment(change: Change, options: Mapping[str, Any]) -> dict[str, Any]:
    """A payment whose description is our key, by which it is known again."""
    data = change.data
    body: dict[str, Any] = {
        "amount": data["amount"],
        "status": PAYMENT_STATUSES[data["status"]],
        "description": change.key,
    }
    if data.get("paid_at") is not None:
        body["payment_date"] = stamp(data["paid_at"])
    method = data.get("method")
    number = number_of(options.get("payment_methods"), method) if method else None
    if number is None:
        number = options.get("default_payment_method")
    named = {"payment_method": method or UNNAMED_METHOD} if number is None else {"payment_method_id": number}
    return body | named


def changed_payment(change: Change, known: Row | None) -> Built:
    """The status, where it differs from what is known; reasons for the rest, unless KeyCRM has it already."""
    built = Built()
    theirs = None if known is None else Fields(dict(known))
    if "status" in change.fields:
        status = PAYMENT_STATUSES[change.data["status"]]
        if theirs is None or theirs.text("status") != status:
            built.body["status"] = status
        built.as_crm["status"] = status
    if change.is_new:
        return built  # found by its key: the rest is as it was sent
    built.ignored = {name: reason for name, reason in _STAYS.items() if name in change.fields}
    return built


def payment_with_key(order: Row, key: str) -> Row | None:
    """The payment of an order that was made with this key, whatever somebody has written beside it."""
    rows = order.get("payments") or []
    found = [row for row in rows if isinstance(row, dict) and key in str(row.get("description") or "")]
    return min(found, key=lambda row: int(row["id"]), default=None)


def answered_values(answer: Any) -> dict[str, Any]:
    """How KeyCRM tells a payment from now on: status and method in its own words, the time in whole seconds."""
    row = Fields(answer if isinstance(answer, dict) else {})
    told = {"status": row.text("status"), "method": row.id("payment_method_id"), "paid_at": row.time("payment_date")}
    return {name: value for name, value in told.items() if value is not None}
