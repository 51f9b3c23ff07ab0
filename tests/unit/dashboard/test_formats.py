"""Numbers and instants as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dashboard.ui import formats
from dashboard.ui.language import Language


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3600, "1 h"), (101_520, "1 d 4 h 12 min"), (86_400, "1 d"),
        (90_000, "1 d 1 h"), (Decimal("86459.999"), "1 d"), (-61, "−1 min"), (-0.5, "0 s"), (None, "–"),
    ],
)  # fmt: skip
def test_durations_name_days_hours_and_minutes_and_leave_out_what_is_zero(
    seconds: float | Decimal | None, text: str
) -> None:
    assert formats.duration(seconds, "en") == text


def test_durations_are_written_in_the_viewers_language() -> None:
    assert formats.duration(101_520, "uk") == "1 д 4 год 12 хв"
    assert formats.duration(101_520, "ru") == "1 д 4 ч 12 мин"


def test_an_instant_is_shown_in_the_asked_zone() -> None:
    at = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the hour that Kyiv has twice
    assert formats.instant(at, ZoneInfo("Europe/Kyiv"), "uk") == "25.10.26, 03:30"
    assert formats.instant(at, ZoneInfo("America/New_York"), "ru") == "24.10.2026, 20:30"
    assert formats.instant(None, ZoneInfo("UTC"), "en") == "–"
    assert formats.iso(at.astimezone(ZoneInfo("Asia/Tokyo"))) == "2026-10-25T00:30:00Z"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 11, 21, 21, 5, tzinfo=UTC), "21 Nov 2026, 23:05"),
        (datetime(2026, 12, 11, 7, 0, 59, tzinfo=UTC), "11 Dec 2026, 09:00"),
        (datetime(2026, 6, 30, 21, 0, tzinfo=UTC), "1 Jul 2026, 00:00"),
    ],
)
def test_english_dates_name_the_day_first_and_the_month_by_its_name(at: datetime, text: str) -> None:
    assert formats.instant(at, ZoneInfo("Europe/Kyiv"), "en") == text


@pytest.mark.parametrize(
    ("language", "number", "percent"), [("en", "12,345.5", "12.3 %"), ("uk", "12 345,5", "12,3 %")]
)
def test_numbers_are_written_as_the_language_does(language: Language, number: str, percent: str) -> None:
    assert formats.number(Decimal("12345.50"), language).replace("\u00a0", " ") == number
    assert formats.percent(0.12345, language).replace("\u00a0", " ") == percent


def test_nothing_known_is_no_zero() -> None:
    assert (formats.number(None, "en"), formats.percent(None, "en"), formats.money(None, "UAH", "en")) == ("–",) * 3


def test_money_without_a_currency_is_a_number_with_two_digits() -> None:
    assert formats.money(Decimal("1234.5"), None, "en") == "1,234.50"
    assert formats.money(Decimal("1234.5"), "UAH", "uk").replace("\u00a0", " ") == "1 234,50 ₴"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a":[1,"ї"],"b":1.50}', '{\n  "a": [\n    1,\n    "ї"\n  ],\n  "b": 1.50\n}'),
        ("id=5&name=O***", "id=5&name=O***"), ('{"a": ', '{"a": '), ("", ""), ("\ud800", "\ud800"),
    ],
)  # fmt: skip
def test_json_is_indented_and_anything_else_stays(text: str, shown: str) -> None:
    assert formats.indented(text) == shown
