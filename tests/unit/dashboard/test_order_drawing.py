"""Timelines to scale: the axis in the project's zone, bars and shades."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dashboard.orders.axis import DAY, MONTH, TIME, Axis, ticks
from dashboard.orders.drawing import ABOVE, BAR, HEAD, LEFT, RIGHT, WIDTH, draw, ends, rectangles
from dashboard.orders.timeline import Calendar, Interval, Span, intervals
from database.repositories.order_timelines import EventRow

KYIV = ZoneInfo("Europe/Kyiv")
INNER = WIDTH - LEFT - RIGHT
KNOWN = Span(datetime(2020, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def event(entered_at: datetime, group: str | None = "1", *, is_closing: bool = False, name: str = "Status") -> EventRow:
    return EventRow(1, "1", name, group, f"Group {group}", is_closing, 1, False, entered_at, "pull", False)


def office(*days: int) -> dict[int, Calendar]:
    return {1: Calendar(tuple(Span(at(day, 9), at(day, 18)) for day in days), KNOWN)}


def drawn(events: list[EventRow], now: datetime, calendar: dict[int, Calendar], due_at: datetime | None = None):
    return draw(intervals(events, calendar, now), [], calendar, now=now, due_at=due_at, zone=KYIV)


def test_an_instant_lies_where_its_share_of_the_time_is() -> None:
    axis = Axis(at(1), at(2), 100, 200)
    assert [axis.x(at(1)), axis.x(at(1, 6)), axis.x(at(2))] == [100, 150, 300]
    assert [axis.x(at(30)), axis.x(datetime(2020, 1, 1, tzinfo=UTC))] == [300, 100]


def test_marks_are_round_times_of_the_projects_clock() -> None:
    found = ticks(at(2, 5), at(2, 21), KYIV)  # UTC+2: 7 to 23 o'clock there
    assert [(tick.at, tick.pattern) for tick in found] == [(at(2, hour), TIME) for hour in (7, 10, 13, 16, 19)]
    across = ticks(at(2, 12), at(4, 12), KYIV)
    assert [tick.pattern for tick in across] == [TIME, DAY, TIME, TIME, TIME, DAY, TIME, TIME]
    assert across[1].at == at(2, 22)


def test_marks_keep_to_the_clock_when_it_is_put_back_or_forward() -> None:
    # Kyiv leaves summer time on 25 October 2026: midnights are at 21:00, then at 22:00 UTC.
    found = ticks(datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 28, tzinfo=UTC), KYIV)
    local = [tick.at.astimezone(KYIV) for tick in found]
    assert {(moment.hour, moment.minute) for moment in local} == {(0, 0), (12, 0)}
    skipped = ticks(datetime(2026, 3, 29, 0, 0, tzinfo=UTC), datetime(2026, 3, 29, 5, 0, tzinfo=UTC), KYIV)
    assert [tick.at.astimezone(KYIV).hour for tick in skipped] == [2, 4, 5, 6, 7, 8]  # there is no 3 o'clock


@pytest.mark.parametrize("days", [6, 20, 100, 400, 3000, 20000])
def test_marks_are_few_for_any_length(days: int) -> None:
    start = datetime(1971, 2, 3, tzinfo=UTC)
    found = ticks(start, start + timedelta(days=days), KYIV)
    assert 2 <= len(found) <= 9
    assert {tick.at.astimezone(KYIV).hour for tick in found} == {0}
    assert {tick.pattern for tick in found} == {DAY if days < 105 else MONTH}


def test_an_interval_is_drawn_to_scale_with_its_worked_parts_and_its_off_hours() -> None:
    # One day from 0:00, one window from 9 to 18: half of the axis is a day, less the 2 % at its end.
    picture = drawn([event(at(2)), event(at(3), "2"), event(at(4), "5", is_closing=True)], at(9), office(2, 3))
    unit = INNER / (48 * 1.02)
    assert (picture.start, picture.end) == (at(2), at(2) + timedelta(hours=48 * 1.02))
    assert [lane.name for lane in picture.lanes] == ["Group 1", "Group 2", "Group 5"]
    first = picture.lanes[0].bars[0]
    assert (first.x, first.width) == (LEFT, pytest.approx(24 * unit, abs=0.1))
    left, width = round(LEFT + 9 * unit, 1), round(9 * unit, 1)
    top = HEAD + ABOVE
    assert first.worked.startswith(f"M{left:g} {top:g}h")
    assert float(first.worked.split("h")[1].split("v")[0]) == pytest.approx(width, abs=0.11)
    assert picture.lanes[0].off_hours.count("M") == 3  # before, between and after the two windows
    assert picture.now_x is None
    assert picture.lanes[2].bars[0].width == 2  # a closing event is a mark, not a time


def test_an_open_order_is_drawn_to_now_and_to_a_due_time_that_is_near() -> None:
    found: list[Interval] = intervals([event(at(2))], office(2), at(4))
    assert ends(found, at(4), None)[1] == at(2) + timedelta(hours=48 * 1.02)
    assert ends(found, at(4), at(4, 12))[1] == at(2) + timedelta(hours=60 * 1.02)
    assert ends(found, at(4), at(20))[1] == at(2) + timedelta(hours=48 * 1.02)
    picture = drawn([event(at(2))], at(4), office(2), at(4, 12))
    assert picture.now_x == pytest.approx(LEFT + INNER * 48 / 60 / 1.02, abs=0.1)
    assert picture.due_x == pytest.approx(LEFT + INNER / 1.02, abs=0.1)


def test_an_order_of_one_event_has_an_axis_too() -> None:
    picture = drawn([event(at(2), is_closing=True)], at(9), office(2))
    assert picture.start < picture.end
    assert len(picture.lanes) == 1


def test_windows_too_fine_to_see_become_a_height() -> None:
    start = datetime(2023, 1, 1, tzinfo=UTC)
    windows = tuple(Span(start + timedelta(days=n, hours=6), start + timedelta(days=n, hours=12)) for n in range(1000))
    calendar = {1: Calendar(windows, KNOWN)}
    picture = drawn([event(start)], start + timedelta(days=1000), calendar)
    [bar] = picture.lanes[0].bars
    assert not picture.is_exact
    height = float(bar.worked.split("v")[1].split("H")[0])
    assert height == pytest.approx(BAR / 4, abs=0.1)  # 6 of 24 hours
    assert picture.lanes[0].off_hours == ""


def test_windows_beyond_the_axis_take_no_part_in_its_shades() -> None:
    near = (Span(at(2, 9), at(2, 18)), Span(at(3, 9), at(3, 18)))
    far = tuple(Span(at(9) + timedelta(days=n), at(9, 9) + timedelta(days=n)) for n in range(900))
    events = [event(at(2)), event(at(4), "5", is_closing=True)]
    alone, among = (drawn(events, at(4), {1: Calendar(windows, KNOWN)}) for windows in (near, near + far))
    assert alone.lanes[0].off_hours == among.lanes[0].off_hours != ""


def test_gaps_that_cannot_be_seen_are_closed() -> None:
    axis = Axis(at(1), at(11), 0, 100)
    spans = [Span(at(1), at(2)), Span(at(2) + timedelta(minutes=10), at(3)), Span(at(5), at(6))]
    assert rectangles(spans, axis, 5, 10) == "M0 5h20v10H0zM40 5h10v10H40z"


def test_a_name_is_cut_to_what_fits_into_its_bar() -> None:
    picture = drawn([event(at(2), name="A rather long name"), event(at(2, 1)), event(at(9))], at(10), office())
    assert [bar.text for bar in picture.lanes[0].bars] == ["", "Status", "Status"]
