"""Cursors of `/api/analytics`: the key of a page's last row; pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from dashboard.cursors import invalid_cursor


def encoded(row: Mapping[str, Any], key: Sequence[str]) -> str:
    """Opaque to the caller."""
    values = [value.isoformat() if isinstance(value, date) else value for value in (row[name] for name in key)]
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decoded(cursor: str, key: Sequence[str]) -> list[Any]:
    """Values of a key. Raises ProblemError, 400, for what is no cursor."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        values = json.loads(text)
    except (ValueError, TypeError) as error:
        raise invalid_cursor() from error
    if not isinstance(values, list) or len(values) != len(key):
        raise invalid_cursor()
    if not all(isinstance(value, (str, int)) and "\0" not in str(value) for value in values):
        raise invalid_cursor()
    return values
