"""Working time by walking a calendar's windows, one local date after another."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from tests.oracle.inputs import Project, Window

_DAY = timedelta(days=1)
_EASTERNMOST = timedelta(hours=15)
_WHOLE_DAY: list[Window] = [(timedelta(0), timedelta(hours=24))]


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time as PostgreSQL reads it.

    Of a time that is skipped PostgreSQL takes the offset before the change, of one that is repeated the offset after
    it: either way the smaller of the two.
    """
    offsets = [local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)]
    return (local - min(offset for offset in offsets if offset is not None)).replace(tzinfo=UTC)


class Calendar:
    """The effective calendar of one status group (None: a status without a group)."""

    def __init__(self, project: Project, group_id: str | None) -> None:
        self._zone = ZoneInfo(project.time_zone)
        self._week = project.calendars.get(group_id or "", project.calendars.get(""))
        self._exceptions = {day: windows for (group, day), windows in project.exceptions.items() if group == "*"}
        self._exceptions |= {day: windows for (group, day), windows in project.exceptions.items() if group == group_id}
        self.is_always_open = self._week is None and not self._exceptions
        self.windows_of = cache(self._windows_of)

    def _windows_of(self, day: date) -> list[tuple[datetime, datetime]]:
        """Windows that start on a local date, as instants."""
        if day in self._exceptions:
            windows = self._exceptions[day]
        elif self._week is None:
            windows = _WHOLE_DAY
        else:
            windows = self._week.get(day.isoweekday(), [])
        midnight = datetime.combine(day, datetime.min.time())
        found = []
        for opens, closes in windows:
            end = midnight + closes if closes > opens else midnight + _DAY + closes
            found.append((instant(midnight + opens, self._zone), instant(end, self._zone)))
        return [(opens, closes) for opens, closes in found if opens < closes]

    def worked(self, start: datetime, end: datetime) -> timedelta:
        """Time between two instants in which at least one window is open."""
        total, counted_to = timedelta(0), start
        for opens, closes in self._windows_between(start, end):
            opens, closes = max(opens, counted_to), min(closes, end)
            if opens < closes:
                total += closes - opens
                counted_to = closes
        return total

    def reached(self, start: datetime, amount: timedelta, *, within: timedelta) -> datetime | None:
        """The earliest instant at which so much has been worked since `start`; None if not `within` that span."""
        left, counted_to = amount, start
        day = start.astimezone(self._zone).date() - 2 * _DAY
        last = (start + within).astimezone(self._zone).date()
        opening: list[tuple[datetime, datetime]] = []
        while day <= last:
            # In order of opening, which is not that of dates where a zone skipped one: the windows of the date that
            # never was lie among those of the next. Those of a later date open when this one is over in every zone.
            opening = sorted([*opening, *self.windows_of(day)])
            day += _DAY
            settled = datetime(day.year, day.month, day.day, tzinfo=UTC) - _EASTERNMOST
            while opening and opening[0][0] < settled:
                opens, closes = opening.pop(0)
                opens = max(opens, counted_to)
                if opens >= closes:
                    continue
                if closes - opens >= left:
                    return opens + left
                left -= closes - opens
                counted_to = closes
        return None

    def _windows_between(self, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
        day = start.astimezone(self._zone).date() - 2 * _DAY
        last = end.astimezone(self._zone).date() + _DAY
        found: list[tuple[datetime, datetime]] = []
        while day <= last:
            found += self.windows_of(day)
            day += _DAY
        return sorted(found)
