"""Stored visits of Renovatio -> sales and their reversals."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import Batch, Place, Reversal, Transaction
from connectors.renovatio.mapping import map_deletion, map_record

ID, PATIENT = "a" * 64, "b" * 64
MOSCOW = MappingContext("clinic", timezone="Europe/Moscow")
SUM_FAULT = "sum_value: expected an amount, got text"
STATUS_FAULT = "status: expected upcoming, completed or refused, got text"
VISIT = {
    "id": ID, "patient": PATIENT, "clinic_id": "1", "time_start": "17.11.2025 14:00",
    "date_updated": "17.11.2025 14:41", "status": "completed", "status_id": "4", "amount": "2500.00",
}  # fmt: skip


def mapped(context: MappingContext = MOSCOW, **changes: Any) -> Batch:
    row = {name: value for name, value in {**VISIT, **changes}.items() if value is not None}
    return map_record(context, "visits", ID, json.dumps(row))


def test_a_completed_visit_with_a_sum_is_a_medical_sale_at_its_start_in_the_clinics_zone() -> None:
    batch = mapped()
    assert batch.transactions == [
        Transaction(
            external_id=ID,
            occurred_at=datetime(2025, 11, 17, 11, tzinfo=UTC),
            amount=Decimal("2500.00"),
            customer_id=PATIENT,
            is_medical=True,
            source_updated_at=datetime(2025, 11, 17, 11, 41, tzinfo=UTC),
        )
    ]
    assert not batch.reversals
    assert not batch.problems
    assert not batch.customers


@pytest.mark.parametrize(
    ("context", "hour"),
    [
        (MappingContext("clinic", timezone="Europe/Moscow"), 11),
        (MappingContext("clinic", timezone="Europe/Moscow", places={"1": Place("1", timezone="Europe/Lisbon")}), 14),
        (MappingContext("clinic", timezone="Europe/Moscow", places={"2": Place("2", timezone="Europe/Lisbon")}), 11),
        (
            MappingContext(
                "clinic",
                places={"1": Place("1", timezone="Europe/Lisbon")},
                options={"timezones": {"1": "Asia/Almaty"}},
            ),
            9,
        ),
    ],
)
def test_the_settings_zone_of_a_clinic_goes_before_the_apis_and_that_before_the_projects(
    context: MappingContext, hour: int
) -> None:
    assert mapped(context).transactions[0].occurred_at == datetime(2025, 11, 17, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "refused", "status_id": "5"}, {"status": "upcoming", "status_id": "1"},
        {"status": "upcoming", "status_id": "4"}, {"status": None, "status_id": "3"},
        {"amount": "0.00"}, {"amount": None}, {"amount": "-5.00"},
    ],
    ids=str,
)  # fmt: skip
def test_a_visit_that_is_not_completed_or_costs_nothing_undoes_its_sale(changes: dict[str, Any]) -> None:
    batch = mapped(**changes)
    assert batch.reversals == [Reversal(ID, datetime(2025, 11, 17, 11, 41, tzinfo=UTC))]
    assert not batch.transactions
    assert not batch.problems


def test_the_number_of_a_status_tells_where_the_word_does_not() -> None:
    assert mapped(status=None).transactions
    assert mapped(status="completed", status_id="5").transactions


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": None, "faults": [SUM_FAULT]}, SUM_FAULT),
        ({"status": None, "status_id": None}, "status: missing"),
        ({"status": None, "status_id": "9"}, "status_id: expected 1 to 4, got another number"),
        (
            {"status": None, "status_id": None, "faults": [STATUS_FAULT]},
            STATUS_FAULT,
        ),
        ({"time_start": None}, "time_start: missing"),
        ({"time_start": "31.02.2025 10:00"}, "time_start: expected a time, got '31.02.2025 10:00'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_judged_is_a_problem_and_leaves_what_is_known(changes: dict[str, Any], reason: str) -> None:
    batch = mapped(**changes)
    assert [(problem.reason, problem.stream, problem.crm_id) for problem in batch.problems] == [(reason, "visits", ID)]
    assert not batch.transactions
    assert not batch.reversals


def test_a_fault_beside_what_matters_does_not_hold_the_sale_up() -> None:
    batch = mapped(patient=None, faults=["patient_id: expected an id, got object"])
    assert batch.transactions[0].customer_id is None
    assert [problem.reason for problem in batch.problems] == ["patient_id: expected an id, got object"]


def test_a_visit_that_is_gone_takes_its_sale_with_it() -> None:
    assert map_deletion("visits", ID) == Batch(reversals=[Reversal(ID)])
    assert map_deletion("places", "1") == Batch()


def test_a_clinic_is_a_place_with_its_zone_if_that_is_one() -> None:
    assert map_record(MOSCOW, "places", "2", '{"id":"2","timezone":"Europe/Lisbon"}').places == [
        Place("2", timezone="Europe/Lisbon")
    ]
    assert map_record(MOSCOW, "places", "2", '{"id":"2"}') == Batch(places=[Place("2")])
    odd = map_record(MOSCOW, "places", "2", '{"id":"2","timezone":"Mars/Olympus"}')
    assert odd.places == [Place("2")]
    assert [problem.reason for problem in odd.problems] == ["timezone: expected a known time zone"]


@pytest.mark.parametrize("body", ["", "{", "[]", "7", "null", '"x"'])
def test_a_stored_text_that_is_none_of_ours_is_skipped_without_repeating_it(body: str) -> None:
    with pytest.raises(SkipRowError, match=f"^visits {ID}: the stored record is no JSON object$"):
        map_record(MOSCOW, "visits", ID, body)
    with pytest.raises(SkipRowError):
        map_record(MOSCOW, "orders", ID, "{}")
