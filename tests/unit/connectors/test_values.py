"""Money, times, phones: exact, whatever the spelling."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.values.fields import Fields
from connectors.values.money import parse_money, parse_quantity
from connectors.values.phones import parse_phone
from connectors.values.plain import plain_json
from connectors.values.times import localise, parse_date, parse_epoch, parse_time, zone

NBSP, NARROW, THIN = "\u00a0", "\u202f", "\u2009"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1 000,50", "1000.50"),
        ("1.000,50", "1000.50"),
        ("1,000.50", "1000.50"),
        (f"1{NBSP}000,50", "1000.50"),
        (f"1{NARROW}234{NARROW}567,89", "1234567.89"),
        (f"1{THIN}000.5", "1000.50"),
        ("1'000.50", "1000.50"),
        ("1 000", "1000.00"),
        ("1.234.567", "1234567.00"),
        ("1,234,567.8", "1234567.80"),
        ("12.345.678,9", "12345678.90"),
        ("1000", "1000.00"),
        ("1000.5", "1000.50"),
        ("1000,5", "1000.50"),
        ("2500.000", "2500.00"),
        ("0.500", "0.50"),
        ("0,005", "0.01"),
        ("₴ 1 000,50", "1000.50"),
        ("1 000,50 грн.", "1000.50"),
        ("$1,000.50", "1000.50"),
        ("1 000,50 руб.", "1000.50"),
        ("99.90 USD", "99.90"),
        ("-15,5", "-15.50"),
        ("\u2212 15,5", "-15.50"),
        ("+15", "15.00"),
        ("-0", "0.00"),
        (" 7 ", "7.00"),
        (7, "7.00"),
        (0, "0.00"),
        (0.1, "0.10"),
        (2.675, "2.68"),
        (1.005, "1.01"),
        (-2.675, "-2.68"),
        (Decimal("1.005"), "1.01"),
        (Decimal("1E+2"), "100.00"),
        (Decimal("-0.001"), "0.00"),
    ],
)
def test_money_is_read_as_it_was_meant(written: object, expected: str) -> None:
    assert str(parse_money(written)) == expected


@pytest.mark.parametrize("written", ["1.000", "1,000", "12.345", "-1.000", "$1,000"])
def test_money_that_is_one_or_a_thousand_is_refused_unless_the_mark_is_given(written: str) -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        parse_money(written)
    assert parse_money("1.000", ".") == Decimal("1.00")
    assert parse_money("1.000", ",") == Decimal("1000.00")
    assert parse_money("1,000", ".") == Decimal("1000.00")
    with pytest.raises(ValueError, match="not an amount"):
        parse_money("1.000,50", ".")


@pytest.mark.parametrize(
    "written",
    ["", " ", "abc", "1.2.3", "1,2,3", "1.00,00.00", "10,00,000", "1..2", "--1", "1-", "(5)", "NaN", "Infinity", "1e5",
     "0x10", "1 2 грн 3 usd", "9" * 200, "9" * 16, True, False, None, [], {},
     math.nan, math.inf, Decimal("NaN"), 10**15,
     10**400, 1e300, b"1", "٣,", "²"],
)  # fmt: skip
def test_what_is_no_amount_is_refused_with_a_sentence(written: object) -> None:
    with pytest.raises(ValueError, match=r"^(not an amount|too large)"):
        parse_money(written)


@given(st.decimals(min_value=-(10**14), max_value=10**14, places=2, allow_nan=False))
def test_any_amount_survives_each_spelling(amount: Decimal) -> None:
    whole, fraction = f"{abs(amount):.2f}".split(".")
    groups = f"{int(whole):,}"
    sign = "-" if amount < 0 else ""
    for group, mark in (
        (",", "."),
        (".", ","),
        (NBSP, ","),
        (NARROW, "."),
        (" ", ","),
        ("", "."),
        ("", ","),
        ("'", "."),
    ):
        assert parse_money(sign + groups.replace(",", group) + mark + fraction) == amount


@given(st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.decimals(), st.booleans(), st.none()))
def test_money_raises_nothing_but_value_error(written: object) -> None:
    try:
        amount = parse_money(written)
    except ValueError:
        return
    assert amount == amount.quantize(Decimal("0.01"))
    assert abs(amount) <= 10**15


@pytest.mark.parametrize(
    ("written", "expected"),
    [(2, "2.000"), (0.5, "0.500"), ("1.250", "1.250"), ("1,25", "1.250"), ("1.0005", "1.001"), (Decimal("3"), "3.000")],
)
def test_quantities_have_three_digits_and_a_dot_is_a_decimal_mark(written: object, expected: str) -> None:
    assert str(parse_quantity(written)) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-02T09:15:00.000000Z", datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("2026-03-02T09:15:00.123456Z", datetime(2026, 3, 2, 9, 15, 0, 123456, tzinfo=UTC)),
        ("2026-03-02T13:15:00+04:00", datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("2026-03-02T12:15:00+0300", datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("2026-03-02 09:15:00", datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("2026-03-02 09:15:00.5", datetime(2026, 3, 2, 9, 15, 0, 500000, tzinfo=UTC)),
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        (" 2026-03-02T09:15Z ", datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("17.11.2025 14:00", datetime(2025, 11, 17, 14, 0, tzinfo=UTC)),
        ("17.11.2025", datetime(2025, 11, 17, tzinfo=UTC)),
    ],
)
def test_times_are_read_to_the_microsecond(written: str, expected: datetime) -> None:
    assert parse_time(written) == expected
    assert parse_time(written).tzinfo is UTC


def test_a_naive_time_is_in_the_given_zone() -> None:
    assert parse_time("2026-03-02 12:00:00", zone("Europe/Kyiv")) == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert parse_time("2026-07-02 12:00:00", zone("Europe/Kyiv")) == datetime(2026, 7, 2, 9, tzinfo=UTC)


def test_a_time_that_dst_skips_has_the_offset_from_before_as_in_postgresql() -> None:
    # Kyiv goes from +02:00 to +03:00 at 03:00 on 29 March 2026.
    assert parse_time("2026-03-29 03:30:00", zone("Europe/Kyiv")) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_time_that_dst_repeats_has_the_offset_from_after_as_in_postgresql() -> None:
    # Back to +02:00 at 04:00 on 25 October 2026.
    assert parse_time("2026-10-25 03:30:00", zone("Europe/Kyiv")) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2037, 1, 1)))
def test_an_unambiguous_local_time_survives_the_way_to_utc_and_back(moment: datetime) -> None:
    kyiv = ZoneInfo("Europe/Kyiv")
    in_utc = localise(moment, kyiv)
    back = in_utc.astimezone(kyiv).replace(tzinfo=None)
    assert back == moment or abs(back - moment) == timedelta(hours=1)


@pytest.mark.parametrize(
    "written",
    ["", "today", "20260302", "2026-W10-1", "2026-13-01", "2026-02-30 10:00:00", "0000-00-00 00:00:00", "12345678",
     "2026-03-02T25:00",  "0001-01-01T00:00:00+04:00", "31.02.2026"],
)  # fmt: skip
def test_what_is_no_time_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_time(written)


@given(st.text(max_size=40))
def test_times_raise_nothing_but_value_error(written: str) -> None:
    for parse in (parse_time, parse_date, parse_epoch):
        try:
            parse(written)
        except ValueError:
            continue


def test_epochs_are_seconds_or_milliseconds() -> None:
    expected = datetime(2025, 10, 4, 10, 0, tzinfo=UTC)
    assert parse_epoch(1759572000) == parse_epoch("1759572000") == parse_epoch(1759572000000) == expected
    assert parse_epoch(Decimal("1759572000.123456")) == expected + timedelta(microseconds=123456)
    for wrong in ("", "x", "NaN", "Infinity", True, 10**30):
        with pytest.raises(ValueError, match="not an epoch"):
            parse_epoch(wrong)


def test_dates_keep_the_day_that_is_written() -> None:
    assert (
        parse_date("2026-03-02")
        == parse_date("2026-03-02T23:30:00-05:00")
        == parse_date("02.03.2026")
        == date(2026, 3, 2)
    )
    for wrong in ("", "2026-03", "2026-03-02x", "20260302", "30.02.2026"):
        with pytest.raises(ValueError, match="not a date"):
            parse_date(wrong)


def test_an_unknown_zone_is_refused() -> None:
    for wrong in ("Mars/Olympus", "", "../etc/passwd", "x" * 500):
        with pytest.raises(ValueError, match="unknown time zone"):
            zone(wrong)


@pytest.mark.parametrize(
    ("written", "region", "expected"),
    [
        ("+380501234567", None, "+380501234567"),
        ("+380 (50) 123-45-67", None, "+380501234567"),
        ("0501234567", "UA", "+380501234567"),
        ("050 123 45 67", "ua", "+380501234567"),
        ("380501234567", "UA", "+380501234567"),
        ("380501234567", None, "+380501234567"),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("79990001122", "RU", "+79990001122"),
        ("+79990001122", "UA", "+79990001122"),
        ("+48 601 234 567", None, "+48601234567"),
        ("0501234567, 0671234567", "UA", "+380501234567"),
        ("немає; 0671234567", "UA", "+380671234567"),
        ("+380501234567 доб. 12", "UA", "+380501234567"),
        ("0501234567", None, None),
        ("12345", "UA", None),
        ("", "UA", None),
        ("call me", "UA", None),
        ("+999123456789", None, None),
        ("1" * 300, "UA", None),
        ("0501234567", "XX", None),
    ],
)
def test_phones_become_e164_or_none(written: str, region: str | None, expected: str | None) -> None:
    assert parse_phone(written, region) == expected


@given(st.sampled_from(["+380", "+7", "+375"]), st.integers(0, 9_999_999_999))
def test_the_short_way_for_complete_phones_gives_what_the_library_gives(prefix: str, number: int) -> None:
    text = prefix + str(number)
    try:
        parsed = phonenumbers.parse(text)
        reason = phonenumbers.is_possible_number_with_reason(parsed)
        possible = reason == phonenumbers.ValidationResult.IS_POSSIBLE
        expected = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if possible else None
    except phonenumbers.NumberParseException:
        expected = None
    assert parse_phone(text) == expected


@given(st.text(max_size=60), st.sampled_from([None, "UA", "RU", "PL"]))
def test_any_text_is_a_phone_or_none(written: str, region: str | None) -> None:
    found = parse_phone(written, region)
    assert found is None or (found.startswith("+") and found[1:].isdigit() and len(found) <= 17)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_fields_read_any_value_as_any_type_without_an_exception(value: object) -> None:
    row = Fields({"x": value}, "row")
    for read in (
        row.text,
        row.texts,
        row.id,
        row.money,
        row.quantity,
        row.time,
        row.date,
        row.flag,
        row.child,
        row.children,
    ):
        read("x")
        read("absent")
    assert all(note.startswith("row.x") for note in row.notes)


def test_notes_name_path_and_kind_and_never_personal_text() -> None:
    row = Fields({"id": [1], "amount": "much", "phone": {"a": 1}, "lines": [{"price": []}, 7]}, "context")
    assert row.id("id") is None
    assert row.money("amount") is None
    assert row.text("phone") is None
    lines = row.children("lines")
    assert lines is not None
    assert lines[0].money("price") is None
    assert row.notes == [
        "context.id: expected an id, got list",
        "context.amount: expected an amount, got 'much'",
        "context.phone: expected a text, got object",
        "context.lines[1]: expected an object, got number",
        "context.lines[0].price: expected an amount, got list",
    ]


def test_ids_are_text_whether_they_came_as_int_or_text() -> None:
    row = Fields(
        {"a": 7, "b": "7", "c": " 7 ", "d": True, "e": Decimal("7.0"), "f": "x" * 101, "g": 10**100, "h": "\x00"}
    )
    assert [row.id(name) for name in "abcdefgh"] == ["7", "7", "7", None, None, None, None, None]
    assert len(row.notes) == 5


def test_plain_json_is_what_jsonb_can_hold() -> None:
    deep: object = "x"
    for _ in range(500):
        deep = [deep]
    value = {"a\x00": "b\x00c", "n": Decimal("1.5"), "big": Decimal("1e400"), "deep": deep, "list": [None, True, 3]}
    plain = plain_json(value)
    assert plain["a"] == "bc"
    assert plain["n"] == 1.5
    assert plain["big"] == "1E+400"
    assert plain["list"] == [None, True, 3]
