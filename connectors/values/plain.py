"""JSON values that `json.dumps` can write and PostgreSQL's jsonb can hold."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any

_DEEPEST = 100


def plain_json(value: Any, depth: int = 0) -> Any:
    """A copy without NUL characters, with numbers as int or float; what is nested too deeply is left out. For people to
    look at: exact numbers are mapped by themselves, and the text as it came is in raw."""
    kind = type(value)
    if kind is str:
        return value.replace("\x00", "") if "\x00" in value else value
    if kind is dict:
        if depth >= _DEEPEST:
            return None
        return {name.replace("\x00", ""): plain_json(item, depth + 1) for name, item in value.items()}
    if kind is list:
        return None if depth >= _DEEPEST else [plain_json(item, depth + 1) for item in value]
    if kind is Decimal:
        number = float(value)
        return number if isfinite(number) else str(value)
    return value
