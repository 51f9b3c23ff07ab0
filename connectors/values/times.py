"""Times -> timezone-aware `datetime` in UTC, exact to the microsecond."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DOTTED = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})(.*)", re.DOTALL)
_MILLISECONDS_FROM = Decimal(100_000_000_000)  # as seconds this is the year 5138


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """The IANA zone of that name. Raises ValueError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name[:60]!r}") from error


def parse_time(value: str, naive_zone: tzinfo = UTC) -> datetime:
    """ISO 8601 (`2026-03-02T09:15:00.123456Z`, with an offset, with a space for the T), `dd.mm.yyyy hh:mm`, or a date
    alone, which is its midnight. A time without an offset is in `naive_zone`. Raises ValueError."""
    text = value.strip()
    if text[4:5] != "-" or text[7:8] != "-":
        # fromisoformat also reads week dates and bare digits such as an id.
        dotted = _DOTTED.fullmatch(text)
        if dotted is None:
            raise ValueError(f"not a time: {value[:40]!r}")
        day, month, year, rest = dotted.groups()
        text = f"{year}-{month}-{day}{rest}"
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC:
            return moment
        return localise(moment, naive_zone) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"not a time: {value[:40]!r}") from None


def localise(moment: datetime, naive_zone: tzinfo) -> datetime:
    """A naive wall-clock time of the zone, in UTC, read as PostgreSQL reads it.

    A time that DST skips has the offset from before the change, one that DST repeats the offset from after it: both are
    the smaller offset. Raises OverflowError.
    """
    if naive_zone is UTC:
        return moment.replace(tzinfo=UTC)
    first = moment.replace(tzinfo=naive_zone, fold=0).utcoffset()
    second = moment.replace(tzinfo=naive_zone, fold=1).utcoffset()
    if first is None or second is None:
        raise ValueError(f"{naive_zone} has no offset")
    return (moment - min(first, second)).replace(tzinfo=UTC)


def parse_epoch(value: int | float | str | Decimal) -> datetime:
    """Seconds since 1970, or milliseconds where seconds would be beyond the year 5000. Raises ValueError."""
    try:
        seconds = Decimal(str(value).strip())
        if abs(seconds) >= _MILLISECONDS_FROM:
            seconds /= 1000
        return _EPOCH + timedelta(microseconds=int((seconds * 1_000_000).to_integral_value()))
    except (InvalidOperation, OverflowError, ValueError):  # also of NaN, infinity, True
        raise ValueError(f"not an epoch: {str(value)[:40]!r}") from None


def parse_date(value: str) -> date:
    """The date of `2026-03-02`, `02.03.2026`, or of a time as it is written (no change of zone). Raises ValueError."""
    text = value.strip()
    if dotted := _DOTTED.fullmatch(text):
        text = f"{dotted[3]}-{dotted[2]}-{dotted[1]}"
    if text[4:5] != "-" or text[10:11] not in ("", "T", " "):
        raise ValueError(f"not a date: {value[:40]!r}")
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise ValueError(f"not a date: {value[:40]!r}") from None
