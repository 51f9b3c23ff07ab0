"""Words for KeyCRM's ids: what its groups of statuses mean to a warehouse, and the options that name its entries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.protocol import Vocabulary

VOCABULARY = Vocabulary(
    announced=frozenset({"status"}),
    status_groups={
        "1": "PENDING",
        "2": "CONFIRMED",
        "3": "PROCESSING",
        "4": "SHIPPED",
        "5": "DELIVERED",
        "6": "CANCELLED",
    },
    payment_statuses={"not_paid": "pending", "paid": "paid", "canceled": "cancelled"},
)
PAYMENT_STATUSES = {"pending": "not_paid", "paid": "paid", "cancelled": "canceled", "refunded": "canceled"}
"""The way back. KeyCRM knows no refund: money that went back is a payment that does not count, as a cancelled one."""

OPTIONS: Mapping[str, type] = {
    "source_id": int,
    "order_source_id": int,
    "warehouse_id": int,
    "payment_methods": dict,
    "default_payment_method": int,
    "delivery_services": dict,
    "segment_field": str,
}
_DICTIONARIES = {"payment_methods": "/order/payment-method", "delivery_services": "/order/delivery-service"}


def check_options(options: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What is wrong with options whose types are right: (path, one sentence)."""
    problems = [
        (name, "expected the id of KeyCRM, a whole number above zero")
        for name in ("source_id", "order_source_id", "warehouse_id", "default_payment_method")
        if name in options and options[name] < 1
    ]
    if "source_id" in options and order_source(options) != options["source_id"]:
        problems.append(("order_source_id", "expected the same as source_id, or no source_id: they would not be read"))
    for name, path in _DICTIONARIES.items():
        for word, number in options.get(name, {}).items():
            if not isinstance(word, str) or not word.strip():
                problems.append((name, "expected words of vms as keys"))
            elif not is_id(number):
                problems.append(
                    (f"{name}.{word}", f"expected the id of KeyCRM, a whole number (GET {path} lists them)")
                )
    if "segment_field" in options and not re.fullmatch(r"CT_[0-9]{1,18}", options["segment_field"]):
        problems.append(
            ("segment_field", "expected the uuid of a custom field of buyers, such as CT_1001 (GET /custom-fields)")
        )
    return problems


def order_source(options: Mapping[str, Any]) -> int | None:
    """The source that orders of vms belong to; None: the settings name none."""
    found: int | None = options.get("order_source_id", options.get("source_id"))
    return found


def number_of(words: Mapping[str, Any] | None, word: str) -> int | None:
    """The id of a dictionary's entry: as the option has it for that word, in any case of letters, or the word itself
    where it is an id. None if nothing tells."""
    wanted = word.strip().casefold()
    for known, number in (words or {}).items():
        if known.strip().casefold() == wanted:
            return int(number)
    return int(wanted) if is_id(wanted) else None


def is_id(value: Any) -> bool:
    """Whether a value is an id of KeyCRM: a whole number above zero, or its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value > 0
    return isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,17}", value) is not None
