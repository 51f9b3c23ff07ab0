"""When a zone's offset from UTC changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_FIRST, _LAST = datetime(1992, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


@cache
def offset_changes(zone_name: str) -> tuple[datetime, ...]:
    """Instants from 1992 to 2027 from which on the zone has another offset."""
    zone = ZoneInfo(zone_name)
    found = []
    at = _FIRST
    while at < _LAST:
        after = at + timedelta(days=5)
        if at.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            found.append(_first_after(zone, at, after))
        at = after
    return tuple(found)


def _first_after(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """By halving: the first whole second that has not the offset of `low`."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
