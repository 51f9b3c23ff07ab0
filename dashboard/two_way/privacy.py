"""What of people is hidden on the pages of the sync; pure.

Payloads, requests and answers are masked for everybody, since the reason says what is wrong. The versions of a conflict
are shown whole to admins, who decide on them, and masked to viewers. Nothing of medical projects is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from connectors import registry
from connectors.masking import mask_json, mask_text
from dashboard.capabilities import capabilities_of
from dashboard.ui.formats import indented
from database.repositories.settings import ProjectRow

SHOWN_CHARACTERS = 20_000
_PERSONAL = frozenset({"full_name", "phone", "email", "recipient", "address", "note", "comment"})
"""Fields of objects that tell of a person, or may."""
_PAIR = re.compile(
    r'"(?P<key>[^"\\]{1,80})"\s*:\s*(?:"(?P<text>(?:[^"\\]|\\.)*)(?P<end>"|$)|(?P<number>\d{5,}))', re.DOTALL
)
_FORM_PAIR = re.compile(r"(?P<key>[\w\[\].-]{1,80})=(?P<text>[^&\s{\"]*)")
_NAME = re.compile(r"^(?:name|full_?name|fullName)$")


def is_medical(project: ProjectRow) -> bool:
    """Whether the project's records are about health: of those nothing is shown. Unknown CRMs count as such."""
    return capabilities_of(project).is_medical


def masked_payload(project: ProjectRow, payload: str | None) -> str | None:
    """What arrived, as the project's connector masks it; None: there is nothing that may be shown."""
    if payload is None or is_medical(project):
        return None
    return indented(registry.get(project.crm).mask_payload(payload))[:SHOWN_CHARACTERS]


def masked_exchange(project: ProjectRow, text: str | None) -> str | None:
    """What was sent or answered: `PUT /order/5 {...}`, a form, or a body that may have been cut short."""
    if text is None or is_medical(project):
        return None
    return _masked(text)[:SHOWN_CHARACTERS]


def masked_value(field: str, value: Any) -> Any:
    """A version of a conflict's field for who does not decide on it."""
    if field not in _PERSONAL or value is None:
        return value
    return mask_json({field if field not in ("note", "comment") else "customer_name": value}).popitem()[1]


def masked_versions(versions: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The fields of a conflict with what is personal masked."""
    sides = ("vms", "crm", "crm_own", "agreed_vms", "agreed_crm")
    return {
        field: {name: masked_value(field, value) if name in sides else value for name, value in given.items()}
        for field, given in versions.items()
    }


def _masked(text: str) -> str:
    """Words before the first `{` or `[`, then JSON, then the rest, masked each in its way."""
    start = min((place for place in (text.find("{"), text.find("[{")) if place >= 0), default=-1)
    if start < 0:
        return _masked_form(text)
    head = _masked_form(text[:start])
    try:
        value, end = json.JSONDecoder().raw_decode(text[start:])
    except (ValueError, RecursionError):  # cut short, or no JSON
        return head + _masked_pairs(text[start:])
    rest = text[start + end :]
    body = json.dumps(mask_json(value), ensure_ascii=False, indent=2)
    return head + body + (_masked(rest) if rest else "")


def _masked_form(text: str) -> str:
    return mask_text(_FORM_PAIR.sub(lambda match: f"{match['key']}={_of_key(match['key'], match['text'])}", text))


def _masked_pairs(text: str) -> str:
    """Text that only looks like JSON: its pairs one by one. Whose name a `name` is, nobody knows: it is hidden."""

    def masked(match: re.Match[str]) -> str:
        if match["number"] is not None:
            return f'"{match["key"]}": {json.dumps(_of_key(match["key"], int(match["number"])))}'
        return f'"{match["key"]}": "{_of_key(match["key"], match["text"])}{match["end"]}'

    return mask_text(_PAIR.sub(masked, text))


def _of_key(key: str, value: Any) -> Any:
    last = key.rstrip("]").rpartition("[")[2].rpartition(".")[2]
    if not value:
        return value
    if _NAME.match(last):
        return f"{str(value)[0]}***"
    return mask_json({last: value})[last]
