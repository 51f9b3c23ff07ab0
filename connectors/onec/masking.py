"""Hides personal data in 1C's payloads, whose fields have Russian or Ukrainian names. Never raises."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from connectors import masking

_PERSONAL = re.compile(
    r"телефон|почт|адрес|фио|контрагент|клиент|покупатель|физическоелицо|физлицо|получатель|представление|клієнт|покупець",
    re.IGNORECASE,
)
_TECHNICAL = ("_Key", "_Type", "@navigationLinkUrl")
_DEEPEST = 100


def mask_payload(body: str) -> str:
    """The payload with names, phones, e-mails and addresses masked, those of expanded references too."""
    masked = masking.mask_payload(body)
    try:
        value = msgspec.json.decode(masked)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return masked
    return msgspec.json.encode(_mask(value, is_personal=False, depth=0)).decode()


def _mask(value: Any, *, is_personal: bool, depth: int) -> Any:
    if depth > _DEEPEST:
        return "***"
    if isinstance(value, dict):
        return {
            name: item
            if name.endswith(_TECHNICAL)
            else _mask(item, is_personal=is_personal or bool(_PERSONAL.search(name)), depth=depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_mask(item, is_personal=is_personal, depth=depth + 1) for item in value]
    return "***" if is_personal and isinstance(value, str | int) and not isinstance(value, bool) and value else value
