"""What differs between two JSON values, one line for each place; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_LONGEST = 400
"""Characters of a value that a line shows."""


@dataclass(frozen=True, slots=True)
class Difference:
    path: str
    """`sync.interval_minutes`; empty: the value itself."""
    before: str | None
    after: str | None
    """As text; None: it was, or is, not there."""


def differences(before: Any, after: Any) -> list[Difference]:
    """The places in which the two differ, in the order of `after`, then what is only in `before`.

    A JSON null at the top is nothing; objects are looked into, lists are compared as a whole.
    """
    old, new = _leaves(before), _leaves(after)
    paths = [*new, *(path for path in old if path not in new)]
    return [
        Difference(path, old.get(path), new.get(path))
        for path in paths
        if path not in old or path not in new or old[path] != new[path]
    ]


def _leaves(value: Any, path: str = "") -> dict[str, str]:
    if value is None and not path:
        return {}
    if isinstance(value, dict) and value:
        found: dict[str, str] = {}
        for key, item in value.items():
            found |= _leaves(item, f"{path}.{key}" if path else str(key))
        return found
    return {path: _text(value)}


def _text(value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and value and all(isinstance(item, (str, int, float)) for item in value):
        text = ", ".join(item if isinstance(item, str) else json.dumps(item) for item in value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
