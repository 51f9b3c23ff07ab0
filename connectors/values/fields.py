"""Reading of untrusted JSON objects: each field as one type; what is wrong is noted with its path instead of raised."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any

from connectors.values.money import parse_money, parse_quantity
from connectors.values.times import parse_date, parse_time

_KINDS = {dict: "object", list: "list", str: "text", bool: "boolean", int: "number", Decimal: "number", float: "number"}
# Few values are many in the records of one account: zeros, prices, and times that stand in a record several times.
_money = lru_cache(maxsize=4096)(parse_money)
_quantity = lru_cache(maxsize=1024)(parse_quantity)
_time = lru_cache(maxsize=4096)(parse_time)

ID_LENGTH = 100
INDEXED_LENGTH = 500
"""Longest text that may stand in an index of the database."""


def kind(value: object) -> str:
    """Word for the JSON type of a value."""
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


class Fields:
    """One JSON object at `path`. Null, absent and empty text are all None; a wrong type is None and a note."""

    __slots__ = ("data", "notes", "path", "zone")

    def __init__(
        self, data: dict[str, Any], path: str = "", notes: list[str] | None = None, zone: tzinfo = UTC
    ) -> None:
        self.data = data
        self.path = path
        self.notes: list[str] = [] if notes is None else notes
        self.zone = zone
        """Of times without an offset."""

    def __contains__(self, name: str) -> bool:
        return name in self.data

    def note(self, name: str, expected: str, value: object, *, shown: bool = False) -> None:
        """Note that a field is not what it should be. `shown`: the text itself may be told, it is no personal data."""
        got = f"{value[:40]!r}" if shown and isinstance(value, str) else kind(value)
        self.notes.append(f"{self.at(name)}: expected {expected}, got {got}")

    def note_missing(self, *names: str) -> None:
        """Note those of these fields that are not there: null, absent or empty."""
        self.notes += [f"{self.at(name)}: missing" for name in names if self.data.get(name) in (None, "")]

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def text(self, name: str, most: int | None = None) -> str | None:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if type(value) is not str:
            if type(value) is not int and type(value) is not Decimal:
                self.note(name, "a text", value)
                return None
            value = str(value)
        if "\x00" in value:  # PostgreSQL's text cannot hold it
            value = value.replace("\x00", "")
        if most is not None and len(value) > most:
            self.notes.append(f"{self.at(name)}: expected at most {most} characters, got {len(value)}")
            return None
        return value or None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, or one text."""
        value = self.data.get(name)
        if value is None or value == "":
            return ()
        if type(value) is not list:
            single = self.text(name)
            return () if single is None else (single,)
        found = []
        for index, item in enumerate(value):
            if type(item) is str:
                if cleaned := item.replace("\x00", "").strip():
                    found.append(cleaned)
            elif type(item) is int:
                found.append(str(item))
            elif item is not None:
                self.note(f"{name}[{index}]", "a text", item)
        return tuple(found)

    def id(self, name: str) -> str | None:
        """A whole number or a text as text."""
        value = self.data.get(name)
        if type(value) is int:
            if value.bit_length() < 200:
                return str(value)
        elif value is None or value == "":
            return None
        elif type(value) is str:
            cleaned = value.strip()
            if cleaned and len(cleaned) <= ID_LENGTH and cleaned.isprintable():
                return cleaned
        self.note(name, "an id", value)
        return None

    def money(self, name: str) -> Decimal | None:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        try:
            if type(value) is int or type(value) is Decimal:
                return _money(value)
            return parse_money(value)
        except ValueError:
            self.note(name, "an amount", value, shown=True)
            return None

    def quantity(self, name: str) -> Decimal | None:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        try:
            if type(value) is int or type(value) is Decimal:
                return _quantity(value)
            return parse_quantity(value)
        except ValueError:
            self.note(name, "a number", value, shown=True)
            return None

    def time(self, name: str) -> datetime | None:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if type(value) is str:
            try:
                return _time(value, self.zone)
            except ValueError:
                if value.startswith("0000-00-00"):  # MySQL's way to say that there is none
                    return None
        self.note(name, "a time", value, shown=True)
        return None

    def date(self, name: str) -> date | None:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if type(value) is str:
            try:
                return parse_date(value)
            except ValueError:
                if value.startswith("0000-00-00"):
                    return None
        self.note(name, "a date", value, shown=True)
        return None

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.data.get(name)
        if type(value) is bool:
            return value
        if value is None or value == "":
            return default
        if value in (0, 1):
            return bool(value)
        if type(value) is str and value.lower() in ("0", "1", "true", "false"):
            return value.lower() in ("1", "true")
        self.note(name, "true or false", value)
        return default

    def child(self, name: str) -> Fields | None:
        value = self.data.get(name)
        if type(value) is dict:
            return Fields(value, self.at(name), self.notes, self.zone)
        # PHP writes an empty object as an empty list.
        if value is not None and value != [] and value != "":
            self.note(name, "an object", value)
        return None

    def children(self, name: str) -> list[Fields] | None:
        """The objects of a list; None if there is no list."""
        value = self.data.get(name)
        if value is None:
            return None
        if type(value) is not list:
            if value != {} and value != "":
                self.note(name, "a list", value)
                return None
            return []
        at = self.at(name)
        found = []
        for index, item in enumerate(value):
            if type(item) is dict:
                found.append(Fields(item, f"{at}[{index}]", self.notes, self.zone))
            else:
                self.note(f"{name}[{index}]", "an object", item)
        return found
