"""Tries a definition on an answer, in memory: what each field becomes, or why it becomes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from connectors.custom.client import rows_of
from connectors.custom.definition import PATH
from connectors.custom.documents import Row, parse
from connectors.custom.mapping import map_document
from connectors.custom.shapes import Definition, Entity
from connectors.custom.values import RecordFields
from connectors.errors import ConfigError, SkipRowError
from connectors.http import encode_json
from connectors.protocol import MappingContext


@dataclass(frozen=True, slots=True)
class FieldOutcome:
    name: str
    state: Literal["ok", "empty", "failed"]
    value: Any
    reason: str | None
    """Why there is no value, one sentence."""


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    number: int
    """From 1, in the order of the answer."""
    fields: tuple[FieldOutcome, ...]
    problems: tuple[str, ...]
    """What is wrong with the record beyond single fields."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one answer."""

    entity: str
    records: tuple[RecordOutcome, ...]

    @property
    def failures(self) -> list[str]:
        """Everything that failed, with the number of its record."""
        found = []
        for record in self.records:
            reasons = [f"fields.{one.name}: {one.reason}" for one in record.fields if one.state == "failed"]
            found += [f"record {record.number}: {reason}" for reason in (*reasons, *record.problems)]
        return found


def try_sample(definition: Definition, entity: Entity, content: bytes, context: MappingContext) -> Outcome:
    """What the entity's records in a stored answer become. Raises ConfigError if the answer cannot be read at all."""
    try:
        answer = parse(content, definition.format)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(
            f"the answer is not the {definition.format.upper()} that the definition says: {error}"
        ) from None
    return try_rows(entity, rows_of(definition, entity, entity.records, answer), context)


def try_rows(entity: Entity, rows: Sequence[Row | str], context: MappingContext) -> Outcome:
    """The same of the rows of an answer."""
    return Outcome(entity.name, tuple(_try(entity, number, row, context) for number, row in enumerate(rows, 1)))


def fingerprint(options: Mapping[str, Any]) -> str:
    """Of the definition: another one has to be tried again."""
    return hashlib.sha256(encode_json(_sorted(options.get(PATH)))).hexdigest()


def _sorted(value: Any) -> Any:
    """PostgreSQL's jsonb keeps no order of keys."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _try(entity: Entity, number: int, row: Row | str, context: MappingContext) -> RecordOutcome:
    if isinstance(row, str):
        return RecordOutcome(number, (), (row,))
    try:
        notes = [problem.reason for problem in map_document(context, entity, row.document).problems]
    except SkipRowError as error:
        notes = [error.message]
    outcomes = []
    for name in entity.fields:
        own = [note for note in notes if note.startswith(f"fields.{name}: ")]
        notes = [note for note in notes if note not in own]
        outcomes.append(_field(entity, name, row, context, bool(own)))
    return RecordOutcome(number, tuple(outcomes), tuple(notes))


def _field(entity: Entity, name: str, row: Row, context: MappingContext, is_wrong: bool) -> FieldOutcome:
    fields = RecordFields(entity, row.document, context)
    value = fields.any(name)
    if fields.notes:
        return FieldOutcome(name, "failed", None, fields.notes[0].partition(": ")[2])
    if value is None:
        return FieldOutcome(name, "failed" if is_wrong else "empty", None, fields.why_missing(name))
    return FieldOutcome(name, "ok", value, None)
