"""What an order or a buyer looks like both in the answer to a write and in a webhook, as one hash, to know echoes by.

Only what both forms carry goes in, and the time of the last change in whole seconds, which is all that KeyCRM keeps.
Without that time there is no fingerprint: a change could look like the state before it.

A write leaves a fingerprint only where it changes something of what goes in. If it does not, what somebody else changed
in the same second has the same one, and would be taken for our echo.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from connectors.values.fields import Fields

_ORDER_BODY = frozenset({"status_id", "manager_comment"})
_BUYER_BODY = frozenset({"phone", "email"})
_SUMS = ("grand_total", "total_discount", "expenses_sum")


def of_order(row: Mapping[str, Any]) -> bytes | None:
    """Of an order of the API, or of the flat row of a webhook, which calls the buyer's comment `client_comment`."""
    fields = Fields(dict(row))
    sums = [_amount(fields, name) for name in _SUMS]
    comment = fields.text("buyer_comment") or fields.text("client_comment")
    words = [fields.id("status_id"), fields.text("payment_status"), fields.text("manager_comment"), comment]
    return _hash("order", fields, [*words, *sums])


def of_buyer(row: Mapping[str, Any]) -> bytes | None:
    """Of a buyer of `/buyer`, or of a webhook's row that has phones and e-mails."""
    fields = Fields(dict(row))
    if "phone" not in fields or "email" not in fields:
        return None
    return _hash("buyer", fields, [fields.text("full_name"), *fields.texts("phone"), "", *fields.texts("email")])


def of_changed_order(order: Mapping[str, Any], body: Mapping[str, Any]) -> bytes | None:
    """Of the answer to a change with this body."""
    return of_order(order) if body.keys() & _ORDER_BODY else None


def of_changed_buyer(buyer: Mapping[str, Any], before: Mapping[str, Any], body: Mapping[str, Any]) -> bytes | None:
    """Of the answer to a change with this body, which repeats the name of `before` where that stays."""
    is_renamed = body.get("full_name", before.get("full_name")) != before.get("full_name")
    return of_buyer(buyer) if is_renamed or body.keys() & _BUYER_BODY else None


def echo(order: Mapping[str, Any]) -> tuple[tuple[str, str, bytes], ...]:
    """What a webhook about this state of an order is known by, as `PushResult.echoes` has it."""
    fingerprint = of_order(order)
    return () if fingerprint is None else (("order", str(order["id"]), fingerprint),)


def _hash(kind: str, fields: Fields, values: list[str | None]) -> bytes | None:
    found_id, updated_at = fields.id("id"), fields.time("updated_at")
    if found_id is None or updated_at is None or fields.notes:
        return None  # what cannot be read is not known to be ours
    stamp = updated_at.replace(microsecond=0).isoformat()
    text = repr([kind, found_id, stamp, *values])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _amount(fields: Fields, name: str) -> str:
    """No sum and a sum of nothing are the same."""
    return f"{fields.money(name) or 0:.2f}"
