"""The project's name, zone, region and currency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.settings.forms.base import Draft, Fields

_REQUIRED, _OPTIONAL = ("name", "timezone"), ("region", "currency")


def show(value: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value[name]) for name in (*_REQUIRED, *_OPTIONAL) if value.get(name)}


def read(fields: Fields) -> Draft:
    draft = Draft()
    for name in (*_REQUIRED, *_OPTIONAL):
        draft.at(name, name)
        text = fields.get(name, "")
        if text.strip() or name in _REQUIRED:
            draft.value[name] = text
    return draft
