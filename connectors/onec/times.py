"""A base's times: its own wall clock, without an offset, in whole seconds; `0001-01-01T00:00:00` is no time at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from connectors.values.times import parse_time

EMPTY_DATE = "0001-01-01"
_DAY = timedelta(days=1)


def read_time(value: object, zone: tzinfo) -> datetime | None:
    """In UTC; None if there is none or it cannot be read."""
    if type(value) is not str or value.startswith(EMPTY_DATE):
        return None
    try:
        return parse_time(value, zone)
    except ValueError:
        return None


def wall_before(moment: datetime, zone: tzinfo) -> datetime:
    """A wall-clock time that is not after the one of any moment from this one on, whatever the clocks are set to."""
    return _shifted(moment, min(_offsets(moment, zone)))


def wall_after(moment: datetime, zone: tzinfo) -> datetime:
    """A wall-clock time that is not before the one of any moment up to this one."""
    return _shifted(moment + timedelta(microseconds=999_999), max(_offsets(moment, zone)))


def as_text(wall: datetime) -> str:
    """As 1C writes it."""
    return wall.isoformat(timespec="seconds")


def _shifted(moment: datetime, offset: timedelta) -> datetime:
    return (moment.astimezone(UTC).replace(tzinfo=None) + offset).replace(microsecond=0)


def _offsets(moment: datetime, zone: tzinfo) -> list[timedelta]:
    near = (moment - _DAY, moment, moment + _DAY)
    return [one.astimezone(zone).utcoffset() or timedelta() for one in near]
