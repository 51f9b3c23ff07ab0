from __future__ import annotations

from dashboard.settings.week import Bar, week_of


def test_windows_over_midnight_and_overlaps_are_drawn_as_they_count() -> None:
    fields = {
        "default.preset": "hours", "default.mon": "08:00-12:00, 11:00-13:00, 20:00-21:30", "default.sun": "22:00-06:00"
    }  # fmt: skip
    days = week_of(fields, "default")
    assert days is not None
    assert days[0].bars == (Bar(0, 360), Bar(480, 300), Bar(1200, 90))
    assert days[0].minutes == 750
    assert days[6].bars == (Bar(1320, 120),)
    assert days[3].minutes == 0


def test_24_7_needs_no_hours_and_what_cannot_be_read_no_picture() -> None:
    always = week_of({"default.preset": "always"}, "default")
    assert always is not None
    assert [day.minutes for day in always] == [1440] * 7
    assert week_of({"default.mon": "9 to 5"}, "default") is None
