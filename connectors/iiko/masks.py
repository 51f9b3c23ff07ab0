"""What iiko's payloads have of people beside the names that connectors.masking knows."""

from __future__ import annotations

from typing import Any

import msgspec

_PEOPLE = frozenset({"courier", "operator", "waiter", "cashier", "employee", "user", "customer", "guestsInfo"})
_HIDDEN = frozenset({"deliveryPoint", "comment", "cardNumber", "cardTrack", "track", "tabName"})
_DEPTH = 200


def without_people(body: str) -> str:
    """The payload without addresses, comments, card numbers and names of guests and staff; other text as it is."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return body
    return msgspec.json.encode(_hide(value, "", 0)).decode()


def _hide(value: Any, owner: str, depth: int) -> Any:
    if depth > _DEPTH:
        return "***"
    if isinstance(value, dict):
        return {
            name: "***"
            if item and (name in _HIDDEN or (name in ("name", "surname") and owner in _PEOPLE))
            else _hide(item, name, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_hide(item, owner, depth + 1) for item in value]
    return value
