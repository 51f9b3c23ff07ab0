"""A time axis to scale: where an instant lies, and the marks of a time zone's clock along it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_CLOCK_STEPS = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR)
_DAY_STEPS = (1, 2, 7, 14)
_MONTH_STEPS = (1, 3, 12, 24, 60, 120)
_MONTH = timedelta(days=30)
_MONDAY = date(1970, 1, 5)

TIME, DAY, MONTH = "HH:mm", "d MMM", "LLL yyyy"
"""Patterns of Babel for the marks' texts."""


@dataclass(frozen=True, slots=True)
class Axis:
    start: datetime
    end: datetime
    left: float
    width: float
    """In units of the drawing."""

    def x(self, at: datetime) -> float:
        """Where the instant lies; what is outside, at the edge."""
        share = (at - self.start) / (self.end - self.start)
        return round(self.left + min(max(share, 0.0), 1.0) * self.width, 1)


@dataclass(frozen=True, slots=True)
class Tick:
    at: datetime
    pattern: str


def ticks(start: datetime, end: datetime, zone: ZoneInfo, most: int = 8) -> list[Tick]:
    """Round times of the zone's own clock from start to end, at most about so many."""
    span = end - start
    for step in _CLOCK_STEPS:
        if span / step <= most:
            return _clock_ticks(start, end, zone, step)
    for days in _DAY_STEPS:
        if span / (days * _DAY) <= most:
            return [Tick(at, DAY) for at in _midnights(start, end, zone, days)]
    months = next((months for months in _MONTH_STEPS if span / (months * _MONTH) <= most), _MONTH_STEPS[-1])
    return [Tick(at, MONTH) for at in _firsts(start, end, zone, months)]


def _clock_ticks(start: datetime, end: datetime, zone: ZoneInfo, step: timedelta) -> list[Tick]:
    local = start.astimezone(zone).replace(tzinfo=None)
    midnight = datetime.combine(local.date(), datetime.min.time())
    local = midnight + (local - midnight) // step * step
    last = end.astimezone(zone).replace(tzinfo=None)
    found: list[Tick] = []
    while local <= last:
        at = _instant(local, zone)
        if at is not None and start <= at <= end:
            found.append(Tick(at, DAY if local.hour == local.minute == 0 else TIME))
        local += step
    return found


def _midnights(start: datetime, end: datetime, zone: ZoneInfo, days: int) -> Iterator[datetime]:
    day = start.astimezone(zone).date()
    day -= timedelta(days=(day - _MONDAY).days % days)
    while day <= end.astimezone(zone).date():
        at = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        if start <= at <= end:
            yield at
        day += timedelta(days=days)


def _firsts(start: datetime, end: datetime, zone: ZoneInfo, months: int) -> Iterator[datetime]:
    first = start.astimezone(zone)
    number = (first.year * 12 + first.month - 1) // months * months
    while True:
        at = datetime(number // 12, number % 12 + 1, 1, tzinfo=zone).astimezone(UTC)
        if at > end:
            return
        if at >= start:
            yield at
        number += months


def _instant(local: datetime, zone: ZoneInfo) -> datetime | None:
    """None for a time that the zone's clock skips."""
    at = local.replace(tzinfo=zone).astimezone(UTC)
    return at if at.astimezone(zone).replace(tzinfo=None) == local else None
