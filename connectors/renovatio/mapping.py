"""Stored, allow-listed rows of Renovatio -> canonical records. Pure, and in no need of the salt."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from connectors.errors import SkipRowError
from connectors.http import decode_json
from connectors.protocol import MappingContext
from connectors.records import Batch, Place, Problem, Reversal, Transaction
from connectors.renovatio.privacy import PLACES, VISITS
from connectors.values.fields import Fields
from connectors.values.times import zone

COMPLETED, COMPLETED_ID = "completed", "4"
_KNOWN_IDS = frozenset({"1", "2", "3", COMPLETED_ID})
"""Booked, waiting, with the doctor, completed; the number of refused is not known."""


def map_record(context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
    """Canonical records of one stored record. Raises SkipRowError if nothing of it can be read."""
    row = _decode(stream, crm_id, body)
    batch = Batch()
    notes = [fault for fault in row.get("faults") or () if isinstance(fault, str)]
    if stream == PLACES:
        _map_place(batch, row, crm_id, notes)
    elif stream == VISITS:
        _map_visit(batch, row, crm_id, context, notes)
    else:
        raise SkipRowError(f"Renovatio has no stream {stream}")
    batch.problems += [Problem(note, stream, crm_id) for note in notes]
    return batch


def map_deletion(stream: str, crm_id: str) -> Batch:
    """A visit that is gone takes its sale with it."""
    return Batch(reversals=[Reversal(crm_id)]) if stream == VISITS else Batch()


def timezone_of(context: MappingContext, clinic_id: str | None) -> str:
    """The zone that the settings give the clinic, else the one that the API tells, else the project's."""
    given = context.options.get("timezones")
    own = given.get(clinic_id) if isinstance(given, dict) and clinic_id is not None else None
    return own if isinstance(own, str) else context.timezone_of(clinic_id)


def _map_visit(batch: Batch, row: dict[str, Any], crm_id: str, context: MappingContext, notes: list[str]) -> None:
    clinic_id = row.get("clinic_id")
    fields = Fields(
        row, notes=notes, zone=zone(timezone_of(context, clinic_id if isinstance(clinic_id, str) else None))
    )
    updated_at = fields.time("date_updated")
    is_completed = _is_completed(row, notes)
    if is_completed is None:
        return
    if not is_completed:
        batch.reversals.append(Reversal(crm_id, updated_at))
        return
    amount = fields.money("amount")
    if amount is None and notes:
        return  # there is one that cannot be read: what is known of the visit stays
    if amount is None or amount <= Decimal(0):
        batch.reversals.append(Reversal(crm_id, updated_at))
        return
    occurred_at = fields.time("time_start")
    if occurred_at is None:
        if not any(note.startswith("time_start") for note in notes):
            fields.note_missing("time_start")
        return
    batch.transactions.append(
        Transaction(
            external_id=crm_id,
            occurred_at=occurred_at,
            amount=amount,
            customer_id=fields.text("patient"),
            is_medical=True,
            source_updated_at=updated_at,
        )
    )


def _is_completed(row: dict[str, Any], notes: list[str]) -> bool | None:
    """None, with a note, if neither the status nor its number tells. The word goes before the number."""
    status, status_id = row.get("status"), row.get("status_id")
    if isinstance(status, str):
        return status == COMPLETED
    if status_id in _KNOWN_IDS:
        return bool(status_id == COMPLETED_ID)
    if not any(note.startswith("status") for note in notes):
        notes.append("status: missing" if status_id is None else "status_id: expected 1 to 4, got another number")
    return None


def _map_place(batch: Batch, row: dict[str, Any], crm_id: str, notes: list[str]) -> None:
    timezone = row.get("timezone")
    if timezone is not None:
        try:
            zone(timezone)
        except (ValueError, TypeError):
            notes.append("timezone: expected a known time zone")
            timezone = None
    batch.places.append(Place(crm_id, timezone=timezone))


def _decode(stream: str, crm_id: str, body: str) -> dict[str, Any]:
    try:
        row = decode_json(body)
    except (msgspec.MsgspecError, ValueError):
        row = None
    if not isinstance(row, dict):
        raise SkipRowError(f"{stream} {crm_id}: the stored record is no JSON object")
    return row
