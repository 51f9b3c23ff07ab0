"""Rows of a CSV file: which are sales, what identifies them, what is told of the others, what they become."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import registry
from connectors.csv import check_options
from connectors.csv.rows import Cells, InvalidRowError, external_id, read_row, record_of
from connectors.errors import SkipRowError
from connectors.protocol import MappingContext
from connectors.records import Batch, Reversal, Transaction

CSV = registry.get("csv")
CONTEXT = MappingContext(
    "shop", timezone="Europe/Moscow", region="UA", currency="UAH", options={"phone_region": "RU", "currency": "RUB"}
)
GOOD = Cells("2026-01-15", "+79001234567", "1500.00", "Роза")


def row(date: str = GOOD.date, phone: str = GOOD.customer_phone, amount: str = GOOD.amount, text: str = "") -> Cells:
    return Cells(date, phone, amount, text)


def reason(cells: Cells, context: MappingContext = CONTEXT) -> str:
    with pytest.raises(InvalidRowError) as caught:
        read_row(context, cells)
    return str(caught.value)


def test_the_id_is_the_hash_of_date_phone_amount_and_project() -> None:
    expected = hashlib.sha256(b"2026-01-15+790012345671500.00shop").hexdigest()
    assert external_id("shop", read_row(CONTEXT, GOOD)) == expected
    assert external_id("other", read_row(CONTEXT, GOOD)) != expected


@pytest.mark.parametrize(
    "cells",
    [
        row("15.01.2026", "8 (900) 123-45-67", "1 500,00"),
        row("15.1.2026", "79001234567", "1500"),
        row("2026-01-15 00:00:00", "9001234567", "1 500.0 руб."),
        row("15.01.2026 0:00", "'+79001234567", "'1500,00"),
        row("2026-01-15", '="79001234567"', "1500.00₽"),
        row("2026-01-15", "79001234567.0", "1500.00", "another description"),
    ],
)
def test_a_sale_has_one_id_however_it_is_written(cells: Cells) -> None:
    assert external_id("shop", read_row(CONTEXT, cells)) == external_id("shop", read_row(CONTEXT, GOOD))


@pytest.mark.parametrize(
    ("text", "moment", "key"),
    [
        ("2026-01-15", "2026-01-14T21:00:00", "2026-01-15"),
        ("15.01.2026", "2026-01-14T21:00:00", "2026-01-15"),
        ("15.01.2026 9:30", "2026-01-15T06:30:00", "2026-01-15T09:30:00"),
        ("15.01.2026, 09:30:15", "2026-01-15T06:30:15", "2026-01-15T09:30:15"),
        ("2026-01-15T09:30", "2026-01-15T06:30:00", "2026-01-15T09:30:00"),
        ("2026-01-15 09:30:00.5", "2026-01-15T06:30:00.500000", "2026-01-15T09:30:00.500000"),
        ("2026-01-15T09:30:00+05:00", "2026-01-15T04:30:00", "2026-01-15T04:30:00Z"),
        ("2026-01-15t09:30:00z", "2026-01-15T09:30:00", "2026-01-15T09:30:00Z"),
    ],
)
def test_dates_are_read_in_the_projects_zone_unless_they_have_an_offset(text: str, moment: str, key: str) -> None:
    sale = read_row(CONTEXT, row(text))
    assert sale.occurred_at == datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert sale.date == key


def test_the_id_of_a_sale_does_not_change_with_the_projects_zone() -> None:
    for text in ("2026-01-15", "2026-01-15 10:00", "2026-01-15T10:00:00+03:00"):
        ids = {
            external_id("shop", read_row(MappingContext("shop", timezone=name, region="RU"), row(text)))
            for name in ("UTC", "Europe/Kyiv", "Asia/Vladivostok", "America/St_Johns")
        }
        assert len(ids) == 1


DATE = "date, expected YYYY-MM-DD or DD.MM.YYYY, with or without a time"
PHONE = "phone, expected +7XXXXXXXXXX"
AMOUNT = "amount, expected a number such as 1500.50"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (row(phone="12345"), f"invalid {PHONE}"),
        (row(phone="abc"), f"invalid {PHONE}"),
        (row(phone=""), f"missing {PHONE}"),
        (row(phone="'"), f"missing {PHONE}"),
        (row(phone="7,90012E+10"), f"invalid {PHONE}: a spreadsheet has rounded it, make the column text there"),
        (row(date=""), f"missing {DATE}"),
        (row(date="01/02/2026"), f"invalid {DATE}"),
        (row(date="15.01.26"), f"invalid {DATE}"),
        (row(date="31.02.2026"), f"invalid {DATE}"),
        (row(date="46037"), f"invalid {DATE}"),
        (row(date="2026-01-15x10:00"), f"invalid {DATE}"),
        (row(date="2026-01-15 25:00"), f"invalid {DATE}"),
        (row(date="2206-01-15"), "invalid date, expected a year from 1970 to 2099"),
        (row(amount=""), f"missing {AMOUNT}"),
        (row(amount="free"), f"invalid {AMOUNT}"),
        (row(amount="1e5"), f"invalid {AMOUNT}"),
        (row(amount="nan"), f"invalid {AMOUNT}"),
        (row(amount="9" * 20), f"invalid {AMOUNT}"),
        (row(amount="1.500"), "ambiguous amount, may be thousands or a fraction: write it with two decimals"),
        (row(amount="0"), "invalid amount, expected more than 0"),
        (row(amount="-100"), "invalid amount, expected more than 0"),
        (row(text="x" * 2001), "invalid description, expected at most 2000 characters"),
        (row("x", "y", "z"), f"invalid {DATE}; invalid {PHONE}; invalid {AMOUNT}"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_without_repeating_it(cells: Cells, told: str) -> None:
    assert reason(cells) == told


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("RU", "+7XXXXXXXXXX"), ("UA", "+380XXXXXXXXX"), ("kz", "+7XXXXXXXXXX"), ("BY", "+375XXXXXXXXX"),
        (None, "+ and the country code"),
    ],
)  # fmt: skip
def test_the_expected_phone_is_that_of_the_region(region: str | None, expected: str) -> None:
    options = {} if region is None else {"phone_region": region}
    assert reason(row(phone="12"), MappingContext("shop", options=options)) == f"invalid phone, expected {expected}"


def test_without_the_option_the_projects_region_counts() -> None:
    context = MappingContext("shop", region="UA", currency="UAH")
    assert read_row(context, row(phone="0501234567")).phone == "+380501234567"
    assert read_row(CONTEXT, row(phone="+380501234567")).phone == "+380501234567"  # a guest from abroad


def test_a_stored_row_becomes_a_sale() -> None:
    record = record_of("shop", GOOD, read_row(CONTEXT, GOOD))
    assert json.loads(record.body) == {
        "date": "2026-01-15", "customer_phone": "+79001234567", "amount": "1500.00", "description": "Роза",
    }  # fmt: skip
    assert "Роза" in record.body
    expected = Transaction(
        external_id=hashlib.sha256(b"2026-01-15+790012345671500.00shop").hexdigest(),
        occurred_at=datetime(2026, 1, 14, 21, tzinfo=UTC),
        amount=Decimal("1500.00"),
        currency="RUB",
        phone_e164="+79001234567",
        description="Роза",
    )
    assert CSV.map_record(CONTEXT, record.stream, record.crm_id, record.body) == Batch(transactions=[expected])
    assert CSV.map_deletion(CONTEXT, "rows", record.crm_id) == Batch(reversals=[Reversal(record.crm_id)])


def test_the_currency_is_the_options_else_the_projects() -> None:
    record = record_of("shop", GOOD, read_row(CONTEXT, GOOD))
    context = MappingContext("shop", region="RU", currency="UAH")
    (sale,) = CSV.map_record(context, "rows", record.crm_id, record.body).transactions
    assert sale.currency == "UAH"


def test_the_same_content_has_the_same_hash_and_a_new_description_another() -> None:
    def content_hash(cells: Cells) -> bytes:
        return record_of("shop", cells, read_row(CONTEXT, cells)).content_hash

    assert content_hash(row("15.01.2026", "89001234567", "1500", "Роза")) == content_hash(GOOD)
    assert content_hash(row(text="Тюльпан")) != content_hash(GOOD)


def test_a_stored_row_that_no_longer_reads_is_a_problem_and_no_exception() -> None:
    batch = CSV.map_record(MappingContext("shop"), "rows", "id", '{"date": "2026-01-15", "amount": 5}')
    assert batch.transactions == []
    (problem,) = batch.problems
    assert (problem.stream, problem.crm_id) == ("rows", "id")
    assert problem.reason.startswith("The row is no sale any more: missing phone")


@pytest.mark.parametrize("body", ["", "7", "[]", "null", "{", '"x"', "[" * 100_000])
def test_what_is_no_row_is_skipped(body: str) -> None:
    with pytest.raises(SkipRowError):
        CSV.map_record(CONTEXT, "rows", "id", body)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, []),
        ({"phone_region": "RU", "currency": "RUB"}, []),
        ({"phone_region": "ua"}, []),
        ({"phone_region": "Russia"}, ["phone_region"]),
        ({"phone_region": "", "currency": "rub"}, ["phone_region", "currency"]),
    ],
)
def test_options_are_checked(options: dict[str, str], wrong: list[str]) -> None:
    assert [path for path, _ in check_options(options)] == wrong


MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2098, 12, 31), timezones=st.none())


@settings(max_examples=200, deadline=None)
@given(MOMENTS, st.integers(1, 10**14), st.integers(0, 9_999_999))
def test_whatever_is_written_in_either_form_is_the_same_sale(moment: datetime, cents: int, number: int) -> None:
    moment = moment.replace(microsecond=0)
    amount = f"{Decimal(cents) / 100:.2f}"
    iso = row(moment.isoformat(), f"+7900{number:07d}", amount)
    local = row(f"{moment:%d.%m.}{moment.year:04d} {moment:%H:%M:%S}", f"8900{number:07d}", amount.replace(".", ","))
    first, second = read_row(CONTEXT, iso), read_row(CONTEXT, local)
    assert first == second
    assert first.amount == Decimal(cents) / 100
    assert abs(first.occurred_at - moment.replace(tzinfo=UTC)) <= timedelta(hours=5)
    record = record_of("shop", local, second)
    (sale,) = CSV.map_record(CONTEXT, record.stream, record.crm_id, record.body).transactions
    assert (sale.occurred_at, sale.amount, sale.phone_e164) == (first.occurred_at, first.amount, first.phone)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_text_whatever_raises_anything_but_an_invalid_row(date: str, phone: str, amount: str, text: str) -> None:
    cells = Cells(date, phone, amount, text)
    for context in (CONTEXT, MappingContext("shop")):
        with suppress(InvalidRowError):
            assert read_row(context, cells).amount > 0
