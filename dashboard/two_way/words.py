"""The words of the two-way sync as pages say them; English, translated where they are shown.

Keys are the words of the tables; the templates pass values through `_()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ENTITY: Mapping[str, str] = {"customer": "Customer", "article": "Article", "order": "Order", "payment": "Payment"}
ENTITIES: Mapping[str, str] = {"customer": "Customers", "article": "Articles", "order": "Orders", "payment": "Payments"}
FIELD: Mapping[str, str] = {
    "full_name": "Full name", "phone": "Phone", "email": "E-mail", "segment": "Segment", "note": "Note",
    "sku": "SKU", "name": "Name", "description": "Description", "price": "Price", "purchased_price": "Purchase price",
    "stock": "Stock", "barcode": "Barcode", "is_active": "Active", "customer": "Customer", "status": "Status",
    "discount": "Discount", "shipping_price": "Shipping price", "comment": "Comment", "items": "Lines",
    "carrier": "Carrier", "tracking_number": "Tracking number", "recipient": "Recipient", "address": "Address",
    "amount": "Amount", "method": "Method", "paid_at": "Paid at", "shipment": "Shipment", "number": "Number",
    "currency": "Currency", "ordered_at": "Ordered at", "quantity": "Quantity", "total": "Total",
}  # fmt: skip
OUTBOX_STATE: Mapping[str, str] = {
    "waiting": "Waiting", "sending": "Sending", "sent": "Sent", "skipped": "Skipped", "failed": "Failed"
}  # fmt: skip
MAPPING_STATE: Mapping[str, str] = {"synced": "In step", "pending": "Pending", "error": "Error"}
LETTER_STATE: Mapping[str, str] = {
    "open": "Retried by itself", "permanently_failed": "Needs a person", "resolved": "Resolved",
    "discarded": "Discarded",
}  # fmt: skip
LETTER_FILTER: Mapping[str, str] = {**LETTER_STATE, "open": "All that are open"}
"""As a filter, open has those that need a person, too."""
CONFLICT_STATE: Mapping[str, str] = {"open": "Undecided", "resolved": "Resolved"}
RESYNC_STATE: Mapping[str, str] = {
    "queued": "Queued", "running": "Running", "done": "Done", "failed": "Failed", "cancelled": "Cancelled"
}  # fmt: skip
RESYNC_KIND: Mapping[str, str] = {"full": "Full resync", "check": "Comparison"}
STAGE: Mapping[str, str] = {
    "pull": "Reads everything from the CRM", "customer": "Compares customers", "article": "Compares articles",
    "order": "Compares orders", "payment": "Compares payments", "end": "Ends",
}  # fmt: skip
DIRECTION: Mapping[str, str] = {"inbound": "From the CRM", "outbound": "To the CRM"}
SOURCE: Mapping[str, str] = {
    "webhook": "Webhook", "api": "Pulled record", "request": "Request to the CRM", "vms": "Into the warehouse system",
    "outbox": "Change to the CRM", "subscription": "Delivery to a subscriber",
}  # fmt: skip
ERROR: Mapping[str, str] = {
    "retry": "Try again later", "config": "Settings or credentials", "permanent": "Refused for good",
    "skip_row": "One record unreadable",
}  # fmt: skip
OPERATION: Mapping[str, str] = {"create": "Created", "update": "Changed", "delete": "Deleted"}
SIDE: Mapping[str, str] = {"vms": "Warehouse system", "crm": "CRM"}
TONE: Mapping[str, str] = {
    "sent": "ok", "synced": "ok", "resolved": "ok", "done": "ok", "waiting": "none", "sending": "near",
    "queued": "none", "running": "near", "pending": "near", "open": "near", "permanently_failed": "over",
    "failed": "over", "error": "over", "skipped": "none", "discarded": "none", "cancelled": "none",
}  # fmt: skip
"""Which of the four looks (dashboard.ui) a state has."""


def for_templates() -> dict[str, Any]:
    """`words.ENTITY[...]` and so on; a word that is not known is shown as it is."""
    tables = {name: _Table(value) for name, value in globals().items() if name.isupper() and isinstance(value, dict)}
    return {"words": tables}


class _Table(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key
