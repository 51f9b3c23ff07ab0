"""A webhook's body as JSON text, checked for what could not be stored."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.errors import WebhookUnreadableError
from connectors.http import decode_json
from connectors.values.plain import unstorable

_BOM = b"\xef\xbb\xbf"


def read_json_body(body: bytes) -> tuple[str, Any]:
    """The text and its value. Raises WebhookUnreadableError if it is empty, not UTF-8, not JSON, or holds what
    PostgreSQL cannot store."""
    try:
        text = body.removeprefix(_BOM).decode()
    except UnicodeDecodeError:
        raise WebhookUnreadableError("the body is not UTF-8") from None
    if not text.strip():
        raise WebhookUnreadableError("the body is empty")
    try:
        value = decode_json(text)
    except (msgspec.MsgspecError, ValueError) as error:
        raise WebhookUnreadableError(f"the body is not JSON: {error}") from None
    if "\x00" in text:
        raise WebhookUnreadableError("the body holds NUL bytes")
    if (fault := unstorable(value)) is not None:
        raise WebhookUnreadableError(f"the body {fault}")
    return text, value
