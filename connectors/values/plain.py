"""JSON values that `json.dumps` can write and PostgreSQL's jsonb can hold."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any

_DEEPEST = 100
_PLAIN = frozenset((int, bool, float, type(None)))


def plain_json(value: Any, depth: int = 0) -> Any:
    """A copy without NUL characters, with numbers as int or float; what is nested too deeply is left out. For people to
    look at: exact numbers are mapped by themselves, and the text as it came is in raw."""
    kind = type(value)
    if kind is str:
        return value.replace("\x00", "") if "\x00" in value else value
    if kind is dict:
        if depth >= _DEEPEST:
            return None
        # Most values are leaves: they are spared a call each.
        return {
            name.replace("\x00", ""): item
            if type(item) in _PLAIN or (type(item) is str and "\x00" not in item)
            else plain_json(item, depth + 1)
            for name, item in value.items()
        }
    if kind is list:
        return None if depth >= _DEEPEST else [plain_json(item, depth + 1) for item in value]
    if kind is Decimal:
        number = float(value)
        return number if isfinite(number) else str(value)
    return value


def unstorable(value: Any) -> str | None:
    """Why PostgreSQL's jsonb could not hold a decoded value: looked for before it is landed, not after."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > _DEEPEST:
            return f"is nested more than {_DEEPEST} deep"
        if type(item) is dict:
            if any("\x00" in name for name in item):
                return "holds NUL characters"
            waiting += [(inner, depth + 1) for inner in item.values()]
        elif type(item) is list:
            waiting += [(inner, depth + 1) for inner in item]
        elif type(item) is str:
            if "\x00" in item:
                return "holds NUL characters"
        elif type(item) is Decimal and not -300 < item.adjusted() < 300:
            return "holds a number that no field has"
    return None
