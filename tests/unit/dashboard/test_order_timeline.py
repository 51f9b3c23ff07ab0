"""An order's intervals and stages, against times worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dashboard.orders.timeline import Calendar, Span, Terms, calendars, intervals, split, stages
from database.repositories.order_timelines import EventRow, WindowRow

KNOWN = Span(datetime(2020, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))
OFFICE, ALWAYS = 1, 2


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def event(
    entered_at: datetime, group: str | None = "2", *, is_closing: bool = False, calendar: int = OFFICE
) -> EventRow:
    return EventRow(
        1, f"s{group}", "Status", group, "Group", is_closing, calendar, calendar == ALWAYS, entered_at, "webhook", False
    )


def office_hours(*days: int) -> list[WindowRow]:
    """9 to 18 o'clock."""
    return [WindowRow(OFFICE, at(day, 9), at(day, 18)) for day in days]


def history(events: list[EventRow], now: datetime, *days: int):
    made = calendars(events, office_hours(*days), (KNOWN.start, KNOWN.end))
    return intervals(events, made, now)


def test_worked_is_what_lies_in_the_windows_and_idle_the_rest() -> None:
    # Monday 16:00 to Tuesday 10:30: two hours, then one and a half.
    [first, last] = history([event(at(2, 16)), event(at(3, 10, 30), "3")], at(3, 12), 2, 3)
    assert first.worked == (Span(at(2, 16), at(2, 18)), Span(at(3, 9), at(3, 10, 30)))
    assert (first.working, first.idle) == (timedelta(hours=3, minutes=30), timedelta(hours=15))
    assert last.is_open
    assert (last.working, last.ends_at) == (timedelta(hours=1, minutes=30), at(3, 12))


def test_a_closing_status_counts_nothing_and_is_not_open_and_a_later_event_reopens_the_order() -> None:
    [_, closed, again] = history(
        [event(at(2, 10)), event(at(2, 11), "5", is_closing=True), event(at(2, 13))], at(2, 14), 2
    )
    assert (closed.working, closed.elapsed, closed.is_open) == (timedelta(0), timedelta(hours=2), False)
    assert again.working == timedelta(hours=1)
    [_, end] = history([event(at(2, 10)), event(at(2, 11), "5", is_closing=True)], at(2, 14), 2)
    assert (end.is_open, end.ends_at, end.worked) == (False, at(2, 11), ())


def test_two_events_in_one_instant_leave_an_interval_without_length() -> None:
    [first, _] = history([event(at(2, 10)), event(at(2, 10))], at(2, 11), 2)
    assert (first.elapsed, first.worked) == (timedelta(0), ())


def test_an_event_of_the_future_has_not_begun_to_count() -> None:
    [only] = history([event(at(2, 15))], at(2, 10), 2)
    assert (only.elapsed, only.working) == (timedelta(0), timedelta(0))


def test_a_stage_that_is_always_open_works_all_the_time() -> None:
    [only] = history([event(at(1, 3), calendar=ALWAYS)], at(2, 3))
    assert only.working == timedelta(days=1)


def test_working_time_outside_what_the_calendar_covers_is_not_known() -> None:
    [only] = history([event(datetime(2019, 12, 31, tzinfo=UTC))], at(2, 3), 2)
    assert (only.worked, only.working, only.idle) == (None, None, None)
    [stage] = stages([only], terms())
    assert (stage.working, stage.state, stage.used_up_at) == (None, None, None)
    assert Calendar((), None).worked(at(1), at(2)) is None


def terms(*, is_urgent: bool = False, profile: str | None = None) -> Terms:
    limits = {("normal", "2"): 4 * 3600, ("urgent", "2"): 3600, ("vip", "3"): 60, ("normal", "3"): 7200}
    return Terms(limits, Decimal("0.8"), is_urgent, profile)


def test_a_stage_is_judged_on_all_its_visits_and_says_when_its_limit_was_used_up() -> None:
    # Group 2: Monday 9 to 12, then Tuesday 9 on. The fourth hour ends on Tuesday at 10.
    events = [event(at(2, 9)), event(at(2, 12), "3"), event(at(3, 9))]
    [second, third] = stages(history(events, at(3, 9, 30), 2, 3), terms())
    assert (second.group_id, second.visits, second.is_current) == ("2", 2, True)
    assert (second.working, second.state) == (timedelta(hours=3, minutes=30), "near")
    assert second.used_up_at is None
    assert (third.group_id, third.state, third.used_up_at) == ("3", "over", at(2, 14))  # 12 to 18, and 2 h allowed
    [later, _] = stages(history(events, at(3, 11), 2, 3), terms())
    assert (later.state, later.used_up_at) == ("over", at(3, 10))
    [exact, _] = stages(history(events, at(3, 10), 2, 3), terms())
    assert (exact.state, exact.used_up_at) == ("near", at(3, 10))  # the limit itself is kept


def test_the_grid_is_the_one_set_by_hand_else_urgent_else_normal() -> None:
    assert terms().limit("2") == 14400
    assert terms(is_urgent=True).limit("2") == 3600
    assert terms(is_urgent=True).limit("3") == 7200  # the urgent grid has none
    assert terms(is_urgent=True, profile="vip").limit("3") == 60
    assert terms(is_urgent=True, profile="vip").limit("2") == 14400
    assert terms().limit("9") is None


def test_a_stage_of_closing_statuses_alone_has_no_limit_and_a_status_without_a_group_no_stage() -> None:
    found = history([event(at(2, 9), None), event(at(2, 10), "2", is_closing=True)], at(2, 12), 2)
    [only] = stages(found, terms())
    assert (only.limit_seconds, only.state) == (None, None)


def test_a_part_is_split_where_the_limit_was_used_up() -> None:
    part = Span(at(2, 9), at(2, 12))
    assert split(part, None) == [("worked", part)]
    assert split(part, at(2, 12)) == [("worked", part)]
    assert split(part, at(2, 9)) == [("over", part)]
    assert split(part, at(2, 10)) == [("worked", Span(at(2, 9), at(2, 10))), ("over", Span(at(2, 10), at(2, 12)))]
