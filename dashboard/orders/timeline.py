"""One order's history as the metrics define it, at one instant: intervals, worked time, stages. Pure.

The marts hold the same for what the last build has seen; here it is worked out from the events, so that an event counts
the moment it is stored, and the clock of the open interval runs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Literal

from database.repositories.order_timelines import EventRow, WindowRow
from database.repositories.orders import State

_ZERO = timedelta(0)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """From one instant on and before another."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Calendar:
    """The open windows of a stage, in order, none touching the next. None of `windows`: always open."""

    windows: tuple[Span, ...] | None
    known: Span | None
    """Where the windows are known; None: nowhere."""

    def worked(self, start: datetime, end: datetime) -> tuple[Span, ...] | None:
        """The parts of a span in which a window is open; None if that is not known."""
        if self.windows is None:
            return (Span(start, end),) if start < end else ()
        if self.known is None or not (self.known.start <= start and end < self.known.end):
            return None
        first = bisect_right(self.windows, start, key=lambda window: window.end)
        parts = []
        for window in self.windows[first:]:
            if window.start >= end:
                break
            parts.append(Span(max(window.start, start), min(window.end, end)))
        return tuple(part for part in parts if part.start < part.end)


@dataclass(frozen=True, slots=True)
class Interval:
    """From one event to the next; the last one of an open order to the instant of reading."""

    number: int
    event: EventRow
    left_at: datetime | None
    ends_at: datetime
    """Where it is drawn to."""
    worked: tuple[Span, ...] | None
    """Parts that count as working time; None if the calendar does not reach so far."""

    @property
    def entered_at(self) -> datetime:
        return self.event.entered_at

    @property
    def is_open(self) -> bool:
        return self.left_at is None and not self.event.is_closing

    @property
    def elapsed(self) -> timedelta:
        return self.ends_at - self.entered_at

    @property
    def working(self) -> timedelta | None:
        return None if self.worked is None else sum((part.length for part in self.worked), _ZERO)

    @property
    def idle(self) -> timedelta | None:
        return None if self.working is None else self.elapsed - self.working


@dataclass(frozen=True, slots=True)
class Stage:
    """All intervals of one group; seconds of the open one are those so far."""

    group_id: str
    group_name: str | None
    intervals: tuple[Interval, ...]
    visits: int
    is_current: bool
    limit_seconds: int | None
    state: State | None
    used_up_at: datetime | None
    """When its working time has reached the limit, if it has."""

    @property
    def working(self) -> timedelta | None:
        return _total(self.intervals)

    @property
    def elapsed(self) -> timedelta:
        return sum((interval.elapsed for interval in self.intervals), _ZERO)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the stages of one order are judged by."""

    limits: Mapping[tuple[str, str], int]
    """Seconds by (grid, group)."""
    near_threshold: Decimal
    is_urgent: bool
    profile: str | None
    """Grid that was set by hand."""

    def limit(self, group_id: str) -> int | None:
        """Of the order's own grid, else of `urgent` for urgent orders; where that has none, of `normal`."""
        special = self.profile or ("urgent" if self.is_urgent else None)
        normal = self.limits.get(("normal", group_id))
        return normal if special is None else self.limits.get((special, group_id), normal)

    def state(self, working: timedelta | None, limit_seconds: int | None) -> State | None:
        if working is None or limit_seconds is None:
            return None
        if working > timedelta(seconds=limit_seconds):
            return "over"
        microseconds = working // _MICROSECOND
        return "near" if microseconds >= self.near_threshold * limit_seconds * 1_000_000 else "ok"


def calendars(
    events: Sequence[EventRow], windows: Sequence[WindowRow], known: tuple[datetime, datetime] | None
) -> dict[int, Calendar]:
    """The calendars of the events' stages, by id."""
    found: dict[int, list[Span]] = {}
    for window in windows:
        found.setdefault(window.calendar_id, []).append(Span(window.opens_at, window.closes_at))
    span = None if known is None else Span(*known)
    return {
        event.calendar_id: Calendar(None if event.is_always_open else tuple(found.get(event.calendar_id, ())), span)
        for event in events
    }


def intervals(events: Sequence[EventRow], calendar: Mapping[int, Calendar], now: datetime) -> list[Interval]:
    """Of events in order. A closing status counts nothing; an event dated ahead has not begun to count."""
    found = []
    for number, event in enumerate(events, 1):
        left_at = events[number].entered_at if number < len(events) else None
        ends_at = left_at if left_at is not None else event.entered_at
        if left_at is None and not event.is_closing:
            ends_at = max(event.entered_at, now)
        worked = () if event.is_closing else calendar[event.calendar_id].worked(event.entered_at, ends_at)
        found.append(Interval(number, event, left_at, ends_at, worked))
    return found


def stages(found: Sequence[Interval], terms: Terms) -> list[Stage]:
    """In order of first entry. A status without a group belongs to none."""
    of_group: dict[str, list[Interval]] = {}
    visits: dict[str, int] = {}
    for group_id, run in groupby(found, key=lambda interval: interval.event.status_group_id):
        if group_id is not None:
            of_group.setdefault(group_id, []).extend(run)
            visits[group_id] = visits.get(group_id, 0) + 1
    made = []
    for group_id, own in of_group.items():
        is_only_closing = all(interval.event.is_closing for interval in own)
        limit = None if is_only_closing else terms.limit(group_id)
        made.append(
            Stage(
                group_id, own[-1].event.status_group_name, tuple(own), visits[group_id],
                is_current=found[-1].event.status_group_id == group_id,
                limit_seconds=limit, state=terms.state(_total(own), limit), used_up_at=_used_up(own, limit),
            )
        )  # fmt: skip
    return made


def _total(own: Sequence[Interval]) -> timedelta | None:
    """One that is not known makes the sum unknown, and not smaller."""
    total = _ZERO
    for interval in own:
        if interval.working is None:
            return None
        total += interval.working
    return total


def _used_up(own: Sequence[Interval], limit_seconds: int | None) -> datetime | None:
    if limit_seconds is None:
        return None
    left = timedelta(seconds=limit_seconds)
    for interval in own:
        if interval.worked is None:
            return None
        for part in interval.worked:
            if part.length >= left:
                return part.start + left
            left -= part.length
    return None


Kind = Literal["worked", "over"]


def split(part: Span, used_up_at: datetime | None) -> list[tuple[Kind, Span]]:
    """A worked part, before and after the limit was used up."""
    if used_up_at is None or part.end <= used_up_at:
        return [("worked", part)]
    if part.start >= used_up_at:
        return [("over", part)]
    return [("worked", Span(part.start, used_up_at)), ("over", Span(used_up_at, part.end))]
