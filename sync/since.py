"""The time from which somebody asks to pull or replay, as written on a command line or in a request."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.values.times import parse_time, zone


def read_time(text: str, timezone: str) -> datetime:
    """A day or a time, in UTC; without an offset it is in this zone, as in the settings. Raises ValueError."""
    try:
        return parse_time(text, zone(timezone))
    except ValueError:
        raise ValueError(
            f'expected a time such as "2026-01-31T09:00" or a day such as "2026-01-31", got {text[:40]!r}'
        ) from None


def read_since(text: str, timezone: str, *, now: datetime | None = None) -> datetime:
    """The same, and not in the future, from where nothing can be pulled. Raises ValueError."""
    moment = read_time(text, timezone)
    if moment > (now or datetime.now(UTC)):
        raise ValueError(f"{text.strip()} lies in the future, where there is nothing to pull: give an earlier time")
    return moment
