"""What both dialects share: rows -> raw records, and the id by which a sale is known."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from connectors.http import encode_json
from connectors.onec.times import read_time
from connectors.protocol import RawRecord, Window
from connectors.values.fields import ID_LENGTH

STREAM = "transactions"
PREFIX = "1C-"
# Where the letter comes from a Cyrillic keyboard it looks the same.
_PREFIXES = re.compile(r"(?:1[CcСс]-)+")
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def external_id(crm_id: str) -> str:
    """`1C-{id}`, once, whether or not the id starts with it."""
    return PREFIX + _PREFIXES.sub("", crm_id, count=1) if _PREFIXES.match(crm_id) else PREFIX + crm_id


def id_of(row: Any, name: str) -> str:
    """The vendor's id of a row. Raises ValueError that says what is wrong with it."""
    if type(row) is not dict:
        raise ValueError("it is not an object")
    value = row.get(name)
    text = str(value) if type(value) is int else value.strip() if type(value) is str else ""
    if not text or len(text) > ID_LENGTH or not text.isprintable():
        raise ValueError(f"it has no id in {name}")
    return text


def to_record(crm_id: str, row: dict[str, Any]) -> RawRecord:
    """The record of a row. A document's DataVersion counts as content: what was unposted and is posted again must not
    pass for what was known before."""
    return RawRecord(STREAM, crm_id, encode_json(row).decode(), hashlib.sha256(_canonical.encode(row)).digest())


def is_outside(date: object, zone: tzinfo, window: Window | None, since: datetime | None) -> bool:
    """Whether a row that the base's wall clock let in is not of the window, or without one before `since`. What has no
    readable date is inside: mapping reports it."""
    moment = read_time(date, zone)
    if moment is None:
        return False
    if window is not None:
        return not window.start <= moment < window.end
    return since is not None and moment < since
