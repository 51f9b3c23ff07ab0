"""The fields of one record, each as the type that the definition gives it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from connectors.custom.documents import Document
from connectors.custom.sandbox import MissingError
from connectors.custom.shapes import Entity, Field
from connectors.protocol import MappingContext
from connectors.values.fields import Fields
from connectors.values.money import parse_money
from connectors.values.phones import parse_phone
from connectors.values.times import localise, parse_epoch, zone


class RecordFields:
    """Reads fields by name. What is not defined, or not there, is None; what is wrong is None and a note."""

    def __init__(self, entity: Entity, document: Document, context: MappingContext) -> None:
        self._entity = entity
        self._document = document
        self._context = context
        self._zone = zone(context.timezone_of())
        self._fields = Fields({}, "fields", zone=self._zone)

    @property
    def notes(self) -> list[str]:
        return self._fields.notes

    def note_missing(self, *names: str) -> None:
        """Note those that are defined as required and not there, unless something is noted of them already."""
        for name in names:
            if not any(note.startswith(f"fields.{name}:") for note in self.notes):
                self.notes.append(f"fields.{name}: {self.why_missing(name)}")

    def why_missing(self, name: str) -> str:
        """Why there is no value."""
        field = self._entity.fields.get(name)
        if field is None:
            return "not defined"
        if field.expression is None:
            return "empty"
        try:
            found = self._raw(field)
        except MissingError as error:
            return str(error)
        except ValueError as error:
            return str(error)
        return f"{'null' if found is None else 'empty'} at {field.expression.text}"

    def text(self, name: str, most: int | None = None) -> str | None:
        self._load(name)
        return self._fields.text(name, most)

    def id(self, name: str) -> str | None:
        self._load(name)
        return self._fields.id(name)

    def money(self, name: str) -> Decimal | None:
        self._load(name)
        return self._fields.money(name)

    def time(self, name: str) -> datetime | None:
        self._load(name)
        return self._fields.time(name)

    def flag(self, name: str) -> bool:
        self._load(name)
        return self._fields.flag(name)

    def phone(self, name: str) -> str | None:
        """In E.164."""
        text = self.text(name)
        if text is None:
            return None
        if (found := parse_phone(text, self._context.region)) is None:
            self.notes.append(f"fields.{name}: expected a phone, got a text that is none")
        return found

    def any(self, name: str) -> Any:
        """By the type that the field has."""
        field = self._entity.fields[name]
        reads = {"minor": self.money, "epoch": self.time}
        return reads.get(field.type, getattr(self, field.type))(name)

    def _load(self, name: str) -> None:
        """Put the field's value where `Fields` reads it, once."""
        data = self._fields.data
        field = self._entity.fields.get(name)
        if name in data or field is None:
            return
        data[name] = None
        try:
            found = self._raw(field)
            data[name] = None if found is None or found == "" else self._prepared(field, found)
        except MissingError:
            return
        except ValueError as error:
            self.notes.append(f"fields.{name}: {error}")

    def _raw(self, field: Field) -> Any:
        return field.value if field.expression is None else field.expression.value(self._document)

    def _prepared(self, field: Field, found: Any) -> Any:
        """What the field's type, format and decimal mark make of it. Raises ValueError."""
        if field.type == "epoch":
            if type(found) is bool or not isinstance(found, int | Decimal | str):
                raise ValueError("expected seconds since 1970")
            return parse_epoch(found).isoformat()
        if field.format is not None and type(found) is str:
            return self._formatted(field.format, found)
        if field.type == "minor":
            if type(found) is bool or not isinstance(found, int | Decimal | str):
                raise ValueError("expected a whole number of hundredths")
            return parse_money(found) / 100
        if field.decimal_mark is not None and type(found) is str:
            return parse_money(found, field.decimal_mark)
        return str(found) if field.type in ("text", "phone") and type(found) is bool else found

    def _formatted(self, form: str, found: str) -> str:
        try:
            moment = datetime.strptime(found.strip(), form)  # noqa: DTZ007 - the zone follows
            return (localise(moment, self._zone) if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()
        except (ValueError, OverflowError):
            raise ValueError(f"expected a time as {form}, got {found[:40]!r}") from None
