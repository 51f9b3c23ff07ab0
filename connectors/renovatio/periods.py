"""Periods of the clinic's wall clock: how a long one is cut into those that the server bears. Pure.

Renovatio has no pages: a call brings all visits of a period, and fails with 500 where the period is too long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

LONGEST = timedelta(days=31)
SHORTEST = timedelta(days=1)
"""Shorter ones are not tried: where the server fails on a day, it is down."""
QUIET = timedelta(days=372)
"""So long without a visit, and there is no history before it."""


@dataclass(frozen=True, slots=True)
class Period:
    """Wall-clock times without a zone. The server takes both ends as included; neighbours share their border."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def halves(self) -> tuple[Period, Period]:
        """The earlier and the later half, cut at a whole minute."""
        middle = (self.start + self.length / 2).replace(second=0, microsecond=0)
        return Period(self.start, middle), Period(middle, self.end)

    def params(self, name: str) -> dict[str, str]:
        """The pair of filters, such as date_from and date_to; an end within a minute takes the whole minute."""
        last = self.end if not (self.end.second or self.end.microsecond) else self.end + timedelta(minutes=1)
        return {f"{name}_from": f"{self.start:%d.%m.%Y %H:%M}", f"{name}_to": f"{last:%d.%m.%Y %H:%M}"}


def cut(start: datetime, end: datetime, width: timedelta) -> Iterator[Period]:
    """Neighbouring periods from start to end, none longer than `width`."""
    while start < end:
        stop = min(end, start + width)
        yield Period(start, stop)
        start = stop


@dataclass(slots=True)
class History:
    """A walk back in time, from today to where the account's history begins. As JSON it is a cursor."""

    end: datetime
    """End of the period that is asked for next."""
    seen: datetime
    """Start of the earliest period that had visits; at first, the start of the walk."""
    width: timedelta = LONGEST

    def next(self, earliest: datetime | None) -> Period | None:
        """The period to ask for; None when all is read. `earliest`: nothing before it is wanted."""
        if self.end <= self.seen - QUIET or (earliest is not None and self.end <= earliest):
            return None
        start = self.end - self.width
        return Period(start if earliest is None else max(start, earliest), self.end)

    def step(self, period: Period, has_visits: bool) -> None:
        """The period has been read."""
        self.end = period.start
        if has_visits:
            self.seen = period.start

    def as_json(self) -> dict[str, Any]:
        return {"end": self.end.isoformat(), "seen": self.seen.isoformat(), "width": self.width / SHORTEST}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> History:
        """Raises KeyError, TypeError or ValueError if it is none."""
        history = History(
            datetime.fromisoformat(value["end"]),
            datetime.fromisoformat(value["seen"]),
            min(LONGEST, max(SHORTEST, SHORTEST * float(value["width"]))),
        )
        if history.end.tzinfo is not None or history.seen.tzinfo is not None:
            raise ValueError("not a walk: its times have a zone")
        return history
