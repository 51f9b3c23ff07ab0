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
_TECHNICAL = re.compile(r"(?:_Key|_Type|@navigationLinkUrl)$|^(?:Number|DataVersion|id)$")
"""Identifiers, whose digits look like those of a phone."""
_DEEPEST = 100


def mask_payload(body: str) -> str:
    """The payload with names, phones, e-mails and addresses masked, those of expanded references too."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return masking.mask_text(body)
    return msgspec.json.encode(_mask(value, masking.mask_json(value), is_personal=False, depth=0)).decode()


def _mask(value: Any, masked: Any, *, is_personal: bool, depth: int) -> Any:
    """`masked` is the value as masked for all CRMs."""
    if depth > _DEEPEST:
        return "***"
    if isinstance(value, dict) and isinstance(masked, dict):
        return {
            name: item
            if _TECHNICAL.search(name) and isinstance(item, str | int)
            else _mask(item, masked[name], is_personal=is_personal or bool(_PERSONAL.search(name)), depth=depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list) and isinstance(masked, list):
        pairs = zip(value, masked, strict=True)
        return [_mask(item, shown, is_personal=is_personal, depth=depth + 1) for item, shown in pairs]
    if is_personal and isinstance(masked, str | int) and not isinstance(masked, bool) and masked:
        return "***"
    return masked
