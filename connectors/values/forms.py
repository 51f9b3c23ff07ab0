"""Forms as PHP writes them: `leads[status][0][id]=7` is a nested object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

MOST_FIELDS = 2000
_MOST_STEPS = 10
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def form_pairs(body: bytes, most: int = MOST_FIELDS) -> list[tuple[str, str]]:
    """Names and values of an urlencoded body. Raises ValueError, one sentence."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=most)
    except UnicodeDecodeError:
        raise ValueError("the form is not UTF-8") from None
    except ValueError:
        raise ValueError(f"the form has more than {most} fields") from None


def nested(
    pairs: Iterable[tuple[str, str]], most: int = MOST_FIELDS, decode: Callable[[str, str], Any] | None = None
) -> dict[str, Any]:
    """The object of a form's fields. `decode(name, value)` reads what has no brackets. Raises ValueError."""
    result: dict[str, Any] = {}
    for count, (key, value) in enumerate(pairs):
        match = _KEY.fullmatch(key)
        if match is None or count >= most:
            raise ValueError("the form has fields that cannot be read")
        steps = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(steps) > _MOST_STEPS:
            raise ValueError("the form's fields are nested too deeply")
        _set(result, steps, value if decode is None or len(steps) > 1 else decode(key, value))
    return {name: _lists(value) for name, value in result.items()}


def _set(target: dict[str, Any], steps: list[str], value: Any) -> None:
    for step in steps[:-1]:
        inner = target.setdefault(step or str(len(target)), {})
        if type(inner) is not dict:
            raise ValueError("the form gives one field twice, as a value and as an object")
        target = inner
    last = steps[-1] or str(len(target))
    if type(target.get(last)) is dict:
        raise ValueError("the form gives one field twice, as a value and as an object")
    target[last] = value


def _lists(value: Any) -> Any:
    """PHP's `x[0]=a&x[1]=b` is a list."""
    if type(value) is not dict:
        return value
    items = {name: _lists(item) for name, item in value.items()}
    return list(items.values()) if items and list(items) == [str(i) for i in range(len(items))] else items
