"""Options of a connector, by the types that it names: text, numbers, flags, lists, and JSON for the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, get_origin

from dashboard.settings.forms.base import Draft, Fields

RATE_LIMIT = "rate_limit"
_RATE_PARTS = ("requests", "per_seconds")
NOT_JSON = 'This is not JSON: write it as [1, 2] or {"name": "value"}.'
Kind = str
"""text, number, flag, list or json."""


def kind_of(annotation: Any) -> Kind:
    if (get_origin(annotation) or annotation) is list:
        return "list"
    return {str: "text", int: "number", float: "number", bool: "flag"}.get(annotation, "json")


def show(value: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, str]:
    """`option.NAME` for each of `kinds`, and `rate_limit.requests`, `rate_limit.per_seconds`."""
    options = value.get("options", {})
    fields: dict[str, str] = {}
    for name, part in options.get(RATE_LIMIT, {}).items():
        fields[f"{RATE_LIMIT}.{name}"] = str(part)
    for name, kind in kinds.items():
        if name in options:
            fields[f"option.{name}"] = _shown(options[name], kind)
    return fields


def read(fields: Fields, kinds: Mapping[str, Kind], stored: Mapping[str, Any]) -> Draft:
    """Empty fields leave the option out. Options of `stored` that the form does not show stay."""
    draft = Draft()
    shown = {RATE_LIMIT, *kinds}
    options = {name: item for name, item in stored.items() if name not in shown}
    rate = {name: text for name in _RATE_PARTS if (text := fields.get(f"{RATE_LIMIT}.{name}", "").strip())}
    for name in _RATE_PARTS:
        draft.at(f"{RATE_LIMIT}.{name}", "options", RATE_LIMIT, name)
    if rate:
        options[RATE_LIMIT] = rate
    for name, kind in kinds.items():
        draft.at(f"option.{name}", "options", name)
        text = fields.get(f"option.{name}", "").strip()
        if not text:
            continue
        try:
            options[name] = _read(text, kind)
        except (ValueError, RecursionError):
            draft.problems.append((f"option.{name}", NOT_JSON))
    draft.value["options"] = options
    return draft


def _shown(value: Any, kind: Kind) -> str:
    if kind == "flag":
        return "true" if value else "false"
    if kind in ("text", "number"):
        return str(value)
    as_json = json.dumps(value, ensure_ascii=False)
    if kind == "list" and all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
        plain = ", ".join(str(item) for item in value)
        return plain if plain and _same(_plain_list(plain), value) else as_json
    return as_json


def _read(text: str, kind: Kind) -> Any:
    if kind in ("text", "number"):
        return text
    if kind == "flag":
        return {"true": True, "false": False}.get(text, text)
    if kind == "list" and not text.startswith("["):
        return _plain_list(text)
    return json.loads(text)


def _plain_list(text: str) -> list[str | int]:
    """`142, new` as 142 and "new"."""
    items = [item.strip() for item in text.split(",")]
    return [int(item) if re.fullmatch(r"0|[1-9][0-9]{0,17}", item) else item for item in items if item]


def _same(one: list[Any], other: list[Any]) -> bool:
    return one == other and [type(item) for item in one] == [type(item) for item in other]
