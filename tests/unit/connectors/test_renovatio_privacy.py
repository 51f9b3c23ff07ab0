"""What of a visit passes the gate, and under which names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.errors import ConfigError
from connectors.renovatio.privacy import Hasher, check_credentials, clean_rows, hash_visit_ids, to_record

SALT = "s" * 32
VISIT = {
    "id": 50123, "time_start": "17.11.2025 14:00", "time_end": "17.11.2025 14:30", "clinic_id": 1, "clinic": "Clinic A",
    "doctor_id": 12, "doctor": "Doctor D.", "patient_id": 777, "patient_name": "Test T.",
    "patient_phone": "79990001122",
    "date_created": "10.11.2025 09:15", "date_updated": "17.11.2025 14:41", "status": "completed", "status_id": 4,
    "services": [{"title": "Consultation", "price": "2500", "count": 1}], "sum_value": "2500.00",
}  # fmt: skip


def clean(**changes: Any) -> dict[str, Any]:
    rows = clean_rows([{**VISIT, **changes}], "visits", Hasher(SALT))
    assert rows.problems == []
    return rows.records[0]


def test_a_patient_is_the_hash_of_id_and_salt_as_the_requirement_writes_it() -> None:
    # printf '777ssssssssssssssssssssssssssssssss' | sha256sum
    expected = "dbd4acf2e5ed30aa509c75780a0793622e7e384f5290fc7c15176ccfb2bf8a99"
    assert Hasher(SALT).patient("777") == clean()["patient"] == expected


def test_nothing_passes_but_the_allow_list() -> None:
    assert clean() == {
        "id": "4be896687afb8a49fc12fb44c90db494c0ee35cd5fc5fe7e436c2c243e047730",
        "patient": "dbd4acf2e5ed30aa509c75780a0793622e7e384f5290fc7c15176ccfb2bf8a99",
        "clinic_id": "1",
        "time_start": "17.11.2025 14:00",
        "date_updated": "17.11.2025 14:41",
        "status": "completed",
        "status_id": "4",
        "amount": "2500.00",
    }


def test_a_visit_and_a_patient_of_one_number_have_different_hashes() -> None:
    assert Hasher(SALT).visit("777") != Hasher(SALT).patient("777")
    assert Hasher(SALT).visit("777") != Hasher("t" * 32).visit("777")


def test_ids_as_text_and_as_numbers_are_the_same() -> None:
    assert clean(id="50123", patient_id=" 777 ", clinic_id="1", status_id="4") == clean()


@pytest.mark.parametrize("salt", [None, "", "s" * 31, "ы" * 15 + "s"])
def test_a_salt_of_less_than_32_bytes_is_refused(salt: str | None) -> None:
    with pytest.raises(ConfigError, match=r"salt needs at least 32 random bytes.*openssl rand -hex 32"):
        Hasher(salt)


def test_a_salt_of_32_bytes_is_taken_and_the_check_repeats_no_value() -> None:
    Hasher("ы" * 16)
    assert check_credentials({"salt": "s" * 32}) == ()
    assert check_credentials({"api_key": "k"}) == ()
    [(name, sentence)] = check_credentials({"salt": "short-salt"})
    assert name == "salt"
    assert "short-salt" not in sentence


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({"sum_value": "2500.00"}, "2500.00"), ({"sum_value": "2500,5"}, "2500.50"), ({"sum_value": 2500}, "2500.00"),
        ({"sum_value": "2 500,00"}, "2500.00"), ({"sum_value": "2\u00a0500.10"}, "2500.10"),
        ({"sum_value": "1.500"}, "1.50"), ({"sum_value": "1,500"}, "1.50"), ({"sum_value": "1.234,50"}, "1234.50"),
        ({"sum_value": "0"}, "0.00"), ({"sum_value": "-5"}, "-5.00"),
        ({"sum_value": None, "services": [{"price": "100,50", "count": 2}, {"price": 5, "count": "1"}]}, "206.00"),
        ({"sum_value": "", "services": [{"value": "90", "price": "100", "count": 2}]}, "90.00"),
        ({"sum_value": None, "services": [{"price": "100"}]}, "100.00"),
        ({"sum_value": None, "services": {"0": {"price": "7", "count": 1}, "1": {"price": "8", "count": 1}}}, "15.00"),
        ({"sum_value": None, "services": []}, None), ({"sum_value": None, "services": None}, None),
        ({"sum_value": "", "services": {}}, None),
    ],
    ids=str,
)  # fmt: skip
def test_the_amount_is_sum_value_else_that_of_the_services(changes: dict[str, Any], amount: str | None) -> None:
    cleaned = clean(**changes)
    assert cleaned.get("amount") == amount
    assert "faults" not in cleaned


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"sum_value": "Иванова"}, "sum_value: expected an amount, got text"),
        ({"sum_value": [1]}, "sum_value: expected an amount, got list"),
        ({"sum_value": None, "services": "Иванова"}, "services: expected a list, got text"),
        ({"sum_value": None, "services": ["Иванова"]}, "services[0]: expected an object, got text"),
        ({"sum_value": None, "services": [{"price": 1}, {}]}, "services[1].price: expected an amount, got null"),
        (
            {"sum_value": None, "services": [{"price": 1, "count": "два"}]},
            "services[0].count: expected a number, got text",
        ),
        ({"time_start": "Иванова"}, "time_start: expected a time, got text"),
        ({"time_start": "17.11.2025 14:00 Иванова"}, "time_start: expected a time, got text"),
        ({"date_updated": 5}, "date_updated: expected a time, got number"),
        ({"status": "Иванова"}, "status: expected upcoming, completed or refused, got text"),
        ({"status_id": "Иванова"}, "status_id: expected a number, got text"),
        ({"clinic_id": "Кабинет"}, "clinic_id: expected a number, got text"),
        ({"patient_id": {"name": "Иванова"}}, "patient_id: expected an id, got object"),
    ],
    ids=str,
)  # fmt: skip
def test_what_has_another_form_is_dropped_and_told_without_its_value(changes: dict[str, Any], fault: str) -> None:
    cleaned = clean(**changes)
    assert cleaned["faults"] == [fault]
    assert next(iter(changes)) not in cleaned
    assert "Иванова" not in json.dumps(cleaned, ensure_ascii=False)


def test_a_row_without_an_id_is_told_and_one_that_comes_twice_is_one() -> None:
    rows = clean_rows([VISIT, "Иванова", {"id": None}, {"id": ["Иванова"]}, dict(VISIT)], "visits", Hasher(SALT))
    assert len(rows.records) == 1
    assert rows.problems == [f"visits: row {number} of an answer has no id" for number in (2, 3, 4)]


def test_one_object_an_object_of_objects_and_nothing_are_lists() -> None:
    for data, count in ((VISIT, 1), ({"7": VISIT}, 1), (None, 0), ([], 0), ("", 0), ({}, 0)):
        assert len(clean_rows(data, "visits", Hasher(SALT)).records) == count
    for data in ("Иванова", 7, {"name": "Иванова"}):
        with pytest.raises(ValueError, match=r"^the data are no list$"):
            clean_rows(data, "visits", Hasher(SALT))


def test_a_clinic_keeps_its_number_and_zone_and_no_title() -> None:
    rows = clean_rows([{"id": 2, "title": "Doctor D.", "timezone": "Europe/Lisbon"}, {"id": 3}], "places", Hasher(SALT))
    assert rows.records == [{"id": "2", "timezone": "Europe/Lisbon"}, {"id": "3"}]


def test_the_hash_of_a_record_changes_with_what_is_kept_alone() -> None:
    record = to_record("visits", clean())
    assert to_record("visits", clean(patient_name="Other O.", comment="x")).content_hash == record.content_hash
    assert to_record("visits", clean(sum_value="2500.01")).content_hash != record.content_hash
    assert (record.crm_id, json.loads(record.body)) == (clean()["id"], clean())


def test_ids_of_a_webhook_are_hashed_in_order_each_once() -> None:
    hasher = Hasher(SALT)
    ids = hash_visit_ids([{"id": 2}, {"id": "1"}, {"id": "2"}, {"id": None}, "x"], hasher)
    assert ids == [hasher.visit("2"), hasher.visit("1")]
