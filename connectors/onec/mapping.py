"""1C's rows and documents -> transactions. Pure: the same text and options give the same records.

A field of the wrong type becomes None and a `Problem` that names its path; a record without an id raises SkipRowError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from connectors.errors import SkipRowError
from connectors.onec.rows import STREAM, external_id
from connectors.onec.settings import Settings, read, zone_name
from connectors.onec.times import EMPTY_DATE
from connectors.protocol import MappingContext
from connectors.records import Batch, Problem, Reversal, Transaction
from connectors.values.fields import Fields
from connectors.values.money import parse_money
from connectors.values.phones import parse_phone
from connectors.values.stored import read_object
from connectors.values.times import zone

EMPTY_REFERENCE = "00000000-0000-0000-0000-000000000000"
ITEM_NAMES = "crm-elt.item_names"
"""Added to a stored document: the names of the items that its lines refer to, by key; documents have keys alone."""
_DESCRIPTION_LENGTH = 500
# What 1C makes of a number: no-break or other spaces between thousands, a comma or a dot before the fraction.
_SPACES = str.maketrans("", "", "\u00a0\u202f\u2009 ")
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:[.,][0-9]{1,30})?")


def map_record(context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
    """The sale that one stored record is, or its reversal. Raises SkipRowError if nothing of it can be read."""
    if stream != STREAM:
        raise SkipRowError(f"1C has no stream {stream}")
    row = read_object(stream, crm_id, body)
    return map_row(row, read(context.options), context)


def map_row(row: dict[str, Any], settings: Settings, context: MappingContext, path: str = "") -> Batch:
    """One row of the service, or one document. Raises SkipRowError if it has no id."""
    fields = Fields(row, path, zone=zone(zone_name(settings, context)))
    crm_id = fields.id(settings.id)
    if crm_id is None or crm_id == EMPTY_REFERENCE:
        raise SkipRowError(fields.notes[0] if fields.notes else f"{fields.at(settings.id)}: missing")
    batch = Batch()
    if settings.dialect == "odata" and not _is_posted(fields):
        if not fields.notes:
            batch.reversals.append(Reversal(external_id(crm_id)))
    else:
        _add_sale(batch, fields, crm_id, settings, context)
    batch.problems += [Problem(note, STREAM, crm_id) for note in fields.notes]
    return batch


def map_deletion(crm_id: str) -> Batch:
    """The document is gone, or counts no more."""
    return Batch(reversals=[Reversal(external_id(crm_id))])


def parse_amount(value: object) -> Decimal:
    """An amount as 1C writes it: a number, or a text such as `1 234 567,89`. Raises ValueError."""
    if type(value) is not str:
        return parse_money(value)
    text = value.strip().translate(_SPACES)
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"not an amount: {value[:40]!r}")
    return parse_money(Decimal(text.replace(",", ".")))


def _is_posted(fields: Fields) -> bool:
    fields.note_missing("Posted")
    return fields.flag("Posted") and not fields.flag("DeletionMark")


def _add_sale(batch: Batch, fields: Fields, crm_id: str, settings: Settings, context: MappingContext) -> None:
    amount = _amount(fields, settings.amount)
    occurred_at = None
    date = fields.data.get(settings.date)
    if type(date) is str and date.startswith(EMPTY_DATE):
        fields.notes.append(f"{fields.at(settings.date)}: missing")
    else:
        fields.note_missing(settings.date)
        occurred_at = fields.time(settings.date)
    phone = None if settings.phone is None else _phone(fields, settings.phone, context.region)
    customer_id = None if settings.customer is None else _reference(fields, settings.customer)
    description = _description(fields, settings)
    if amount is None or occurred_at is None:
        return  # what is missing is told as a problem
    batch.transactions.append(
        Transaction(
            external_id=external_id(crm_id),
            occurred_at=occurred_at,
            amount=amount,
            customer_id=customer_id,
            phone_e164=phone,
            description=description,
        )
    )


def _amount(fields: Fields, name: str) -> Decimal | None:
    value = fields.data.get(name)
    if value is None or value == "":
        fields.note_missing(name)
        return None
    try:
        return parse_amount(value)
    except ValueError:
        fields.note(name, "an amount", value, shown=True)
        return None


def _phone(fields: Fields, path: str, region: str | None) -> str | None:
    """The first readable one at the end of the path; free text in which people write anything."""
    for value in _values_at(fields.data, path.split(".")):
        if type(value) is int:
            value = str(value)
        if type(value) is not str:
            fields.note(path, "a text", value)
        elif (phone := parse_phone(value, region)) is not None:
            return phone
    return None


def _values_at(value: Any, names: list[str]) -> Iterator[Any]:
    """What stands at the end of a path through objects and their tabular parts, but for what is not filled in."""
    if type(value) is list:
        for item in value:
            yield from _values_at(item, names)
    elif not names:
        if value is not None and value != "":
            yield value
    elif type(value) is dict:
        yield from _values_at(value.get(names[0]), names[1:])


def _reference(fields: Fields, name: str) -> str | None:
    """The key of a reference; None for an empty one, and for a field of several types that holds none."""
    kind_of_value = fields.data.get(f"{name}_Type")
    if type(kind_of_value) is str and kind_of_value.endswith(".Undefined"):
        return None
    key = fields.id(name)
    return None if key == EMPTY_REFERENCE else key


def _description(fields: Fields, settings: Settings) -> str | None:
    """Names of the items, in their order, each once."""
    if settings.items is None:
        return None
    known = fields.data.get(ITEM_NAMES)
    names: Mapping[str, Any] = known if type(known) is dict else {}
    found: dict[str, None] = {}
    for line in fields.children(settings.items) or ():
        if settings.dialect == "odata" and settings.has_item_references:
            key = _reference(line, settings.item)
            name = None if key is None else names.get(key)
        else:
            name = line.text(settings.item)
        if type(name) is str and (name := " ".join(name.replace("\x00", "").split())):
            found[name] = None
    text = ", ".join(found)
    if len(text) > _DESCRIPTION_LENGTH:
        text = text[: _DESCRIPTION_LENGTH - 1] + "…"
    return text or None
