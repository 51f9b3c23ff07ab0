from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.repositories.settings import Window
from sync.settings import hours

_TIMES = st.builds(lambda hour, minute: f"{hour:02d}:{minute:02d}", st.integers(0, 23), st.integers(0, 59))
_WINDOWS = st.builds(Window, _TIMES, _TIMES | st.just("24:00")).filter(
    lambda window: window.opens_at != window.closes_at and window.closes_at != "00:00"
)
_WEEKS = st.dictionaries(
    st.integers(1, 7), st.lists(_WINDOWS, min_size=1, max_size=3).map(hours.canonical_windows), max_size=7
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("08:00", 28_800),
        ("8:00", 28_800),
        ("72:30", 261_000),
        ("00:00:01", 1),
        ("1000:00", 3_600_000),
        (" 04:15 ", 15_300),
        ("27:00:30", 97_230),
    ],
)
def test_a_duration_is_hours_and_minutes_beyond_24_hours_too(text: str, seconds: int) -> None:
    assert hours.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["8h", "8", "08:60", "08:5", "-01:00", "08:00:60", "00:00", "", "٠٨:٠٠", "08:00\n09:00", "1e3:00", "9999999:00"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hh:mm"):
        hours.parse_duration(text)


@given(st.integers(min_value=1, max_value=999_999 * 3600))
def test_every_duration_survives_writing_and_reading(seconds: int) -> None:
    assert hours.parse_duration(hours.format_duration(seconds)) == seconds


@given(st.text(max_size=12))
def test_any_text_is_a_duration_of_that_meaning_or_refused(text: str) -> None:
    try:
        seconds = hours.parse_duration(text)
    except ValueError:
        return
    parts = [int(part) for part in text.strip().split(":")]
    assert seconds == sum(part * factor for part, factor in zip(parts, (3600, 60, 1), strict=False))


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("09:00-18:00", Window("09:00", "18:00")),
        ("9:00 - 18:00", Window("09:00", "18:00")),
        ("22:00-06:00", Window("22:00", "06:00")),
        ("18:00-24:00", Window("18:00", "24:00")),
        ("18:00-00:00", Window("18:00", "24:00")),
        ("00:00-24:00", Window("00:00", "24:00")),
        ("09:00:30-18:00", Window("09:00:30", "18:00")),
    ],
)
def test_opening_hours_may_pass_or_end_at_midnight(text: str, window: Window) -> None:
    assert hours.parse_window(text) == window


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("09:00", "expected opening hours"),
        ("09:00-18:00-20:00", "expected opening hours"),
        ("24:01-25:00", "expected opening hours"),
        ("09-18", "expected opening hours"),
        ("", "expected opening hours"),
        ("24:00-06:00", "only ends a range"),
        ("09:00-09:00", "whole day"),
        ("00:00-00:00", "whole day"),
    ],
)
def test_what_are_no_opening_hours_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        hours.parse_window(text)


@given(_WINDOWS)
def test_all_opening_hours_survive_writing_and_reading(window: Window) -> None:
    assert hours.parse_window(hours.format_window(window)) == window


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-fri", (1, 2, 3, 4, 5)),
        ("mon,wed", (1, 3)),
        ("sat", (6,)),
        ("fri-mon", (5, 6, 7, 1)),
        ("Mon-Wed, sun", (1, 2, 3, 7)),
        ("mon-sun", (1, 2, 3, 4, 5, 6, 7)),
    ],
)
def test_weekdays_are_spans_and_lists(text: str, days: tuple[int, ...]) -> None:
    assert hours.parse_weekdays(text) == days


@pytest.mark.parametrize("text", ["", "monday", "mon-", "mon-tue-wed", "1", "mon;tue", "пн"])
def test_unknown_weekdays_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected weekdays such as"):
        hours.parse_weekdays(text)


@pytest.mark.parametrize("text", ["mon,mon", "mon-wed,tue"])
def test_a_weekday_named_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        hours.parse_weekdays(text)


def test_two_entries_for_one_weekday_are_refused_naming_both() -> None:
    with pytest.raises(ValueError, match=r'fri is given by both "mon-fri" and "fri"'):
        hours.week_of({"mon-fri": [Window("09:00", "18:00")], "fri": []})


def test_hours_given_twice_count_once_and_stand_in_order() -> None:
    late, early = Window("13:00", "17:00"), Window("08:00", "12:00")
    assert hours.week_of({"mon": [late, early, late], "tue": []}) == {1: (early, late)}


@given(_WEEKS)
def test_every_week_survives_writing_and_reading(week: dict[int, tuple[Window, ...]]) -> None:
    written = hours.format_week(week)
    read = hours.week_of({days: [hours.parse_window(text) for text in ranges] for days, ranges in written.items()})
    assert read == week


def test_a_week_is_written_as_people_would() -> None:
    day = (Window("09:00", "18:00"),)
    assert hours.format_week({1: day, 2: day, 3: day, 6: (Window("10:00", "14:00"),), 7: day}) == {
        "mon-wed,sun": ["09:00-18:00"],
        "sat": ["10:00-14:00"],
    }
