"""How time is cut into what the server bears."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from connectors.renovatio.periods import History, Period, cut

DAY = timedelta(days=1)
START = datetime(2026, 3, 2, 9)


def test_a_period_asks_with_minutes_and_takes_the_minute_it_ends_in() -> None:
    assert Period(START, START + DAY).params("date") == {
        "date_from": "02.03.2026 09:00",
        "date_to": "03.03.2026 09:00",
    }
    assert Period(START.replace(second=30), START.replace(second=30)).params("date_updated") == {
        "date_updated_from": "02.03.2026 09:00",
        "date_updated_to": "02.03.2026 09:01",
    }


def test_periods_are_neighbours_of_at_most_the_width() -> None:
    periods = list(cut(START, START + 70 * DAY, 31 * DAY))
    assert [period.length / DAY for period in periods] == [31, 31, 8]
    assert [period.start for period in periods[1:]] == [period.end for period in periods[:-1]]
    assert list(cut(START, START, DAY)) == []


def test_halves_meet_at_a_whole_minute() -> None:
    first, second = Period(START, START + timedelta(minutes=5)).halves()
    assert (first.start, first.end, second.start, second.end) == (
        START,
        START + timedelta(minutes=2),
        START + timedelta(minutes=2),
        START + timedelta(minutes=5),
    )


def test_history_ends_after_a_year_without_a_visit() -> None:
    history, asked = History(START, START), []
    while (period := history.next(None)) is not None:
        asked.append(period)
        history.step(period, has_visits=len(asked) <= 3)
    assert len(asked) == 3 + 12
    assert {period.length for period in asked} == {31 * DAY}


def test_history_goes_no_further_back_than_is_wanted() -> None:
    history, asked = History(START, START), []
    while (period := history.next(START - 40 * DAY)) is not None:
        asked.append(period)
        history.step(period, has_visits=False)
    assert [period.start for period in asked] == [START - 31 * DAY, START - 40 * DAY]


def test_a_walk_goes_on_from_its_cursor() -> None:
    history = History(START - 31 * DAY, START, 7 * DAY)
    assert History.from_json(history.as_json()) == history


@pytest.mark.parametrize(
    "value", [{}, {"end": 1, "seen": 2, "width": 3}, {"end": "x", "seen": "x", "width": 1}, {"end": None, "seen": None}]
)
def test_a_cursor_that_is_no_walk_is_refused(value: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        History.from_json(value)
