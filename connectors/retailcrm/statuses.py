"""RetailCRM's statuses in the warehouse's words."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.protocol import Vocabulary

DEFAULT_STATUS_MAP: Mapping[str, str] = {
    "new": "PENDING",
    "acceptance": "CONFIRMED",
    "approval": "CONFIRMED",
    "assembling": "PROCESSING",
    "delivery": "SHIPPED",
    "complete": "DELIVERED",
    "cancel": "CANCELLED",
    "refund": "REFUNDED",
}
"""Code of a status or of a status group -> status of the warehouse. The vendor's own group of orders that are being
agreed upon is called approval; acceptance is what the requirement calls it."""

FINAL_GROUPS = ("complete", "cancel")
"""Groups in which an order's life ends."""

PAYMENT_STATUS_CODES: Mapping[str, tuple[str, ...]] = {
    "pending": ("not-paid", "invoice", "wait-approved", "payment-start", "credit-check"),
    "paid": ("paid",),
    "refunded": ("returned", "refund", "canceled", "not-paid"),
    "cancelled": ("canceled", "fail", "not-paid"),
}
"""What a payment of the warehouse is at RetailCRM: the first that the account has. Each account may change its list, so
the last ones say no more than that it is not paid."""

VOCABULARY = Vocabulary(
    announced=frozenset({"status"}),  # the rest is in the history, which is pulled
    statuses={
        **DEFAULT_STATUS_MAP,
        # Of the statuses of a group, those that say no more than the warehouse does: a new account has them.
        "client-confirmed": "CONFIRMED",
        "send-to-delivery": "SHIPPED",
        "cancel-other": "CANCELLED",
    },
    status_groups=DEFAULT_STATUS_MAP,
    names_groups=True,
    payment_statuses={
        "invoice": "pending",
        "wait-approved": "pending",
        "payment-start": "pending",
        "credit-check": "pending",
        "not-paid": "pending",
        "paid": "paid",
        "returned": "refunded",
        "refund": "refunded",
        "canceled": "cancelled",
        "fail": "cancelled",
    },
)


def vms_status(
    status_code: str, group_code: str | None = None, status_map: Mapping[str, str] | None = None
) -> str | None:
    """The warehouse's word for a status, None if nothing tells: the project's `status_map` goes before the default, and
    in each the status before its group."""
    for known in (status_map or {}, DEFAULT_STATUS_MAP):
        for code in (status_code, group_code):
            if code is not None and code in known:
                return known[code]
    return None
