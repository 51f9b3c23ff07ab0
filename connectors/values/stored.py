"""Reading back what was landed: the first steps of every mapping."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.errors import SkipRowError
from connectors.http import decode_json
from connectors.values.fields import Fields, kind


def read_object(stream: str, crm_id: str, body: str) -> dict[str, Any]:
    """The JSON object of one stored record. Raises SkipRowError if it is none."""
    try:
        row = decode_json(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SkipRowError(f"{stream} {crm_id}: not JSON: {error}") from None
    if type(row) is not dict:
        raise SkipRowError(f"{stream} {crm_id}: expected an object, got {kind(row)}")
    return row


def required_id(fields: Fields, name: str, stream: str, crm_id: str) -> str:
    """The record's own id. Raises SkipRowError if it has none that can be read."""
    found = fields.id(name)
    if found is None:
        raise SkipRowError(f"{stream} {crm_id}: {fields.notes[0] if fields.notes else f'{name}: missing'}")
    return found
