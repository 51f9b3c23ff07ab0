"""Working time as text: limits (`72:30`), opening hours (`22:00-06:00`) and weekdays (`mon-fri`). Pure functions.

All parsers raise ValueError with what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from database.repositories.settings import Window

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DURATION = re.compile(r"([0-9]{1,6}):([0-5][0-9])(?::([0-5][0-9]))?")
_TIME = re.compile(r"([0-9]{1,2}):([0-5][0-9])(?::([0-5][0-9]))?")
_MIDNIGHT, _END_OF_DAY = "00:00", "24:00"


def parse_duration(text: str) -> int:
    """Seconds of `hh:mm` or `hh:mm:ss`; hours go beyond 24."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError('expected hh:mm of working time such as "72:30"')
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0)
    if seconds == 0:
        raise ValueError('expected more than no time, hh:mm such as "72:30"')
    return seconds


def format_duration(seconds: int) -> str:
    """`hh:mm`, or `hh:mm:ss` where there are seconds."""
    minutes, rest = divmod(seconds, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{rest:02d}" if rest else text


def parse_window(text: str) -> Window:
    """Opening hours of a day. `22:00-06:00` ends on the next day; `24:00`, and `00:00` as an end, are midnight."""
    parts = text.split("-")
    times = [_parse_time(part.strip()) for part in parts]
    if len(times) != 2 or None in times:
        raise ValueError('expected opening hours such as "09:00-18:00", "22:00-06:00" or "18:00-24:00"')
    opens_at, closes_at = str(times[0]), str(times[1])
    if opens_at == _END_OF_DAY:
        raise ValueError('"24:00" only ends a range: write "00:00" and the next day')
    if opens_at == closes_at:
        raise ValueError('a range that ends where it starts: write "00:00-24:00" for the whole day, [] for closed')
    return Window(opens_at, _END_OF_DAY if closes_at == _MIDNIGHT else closes_at)


def format_window(window: Window) -> str:
    return f"{window.opens_at}-{window.closes_at}"


def canonical_windows(windows: Iterable[Window]) -> tuple[Window, ...]:
    """In order of time, each once."""
    return tuple(sorted(set(windows)))


def parse_weekdays(text: str) -> tuple[int, ...]:
    """ISO weekdays (1 is Monday) of `mon-fri`, `mon,wed`, `sat` or `fri-mon`."""
    days: list[int] = []
    for part in text.lower().split(","):
        names = [name.strip() for name in part.split("-")]
        if not 1 <= len(names) <= 2 or any(name not in WEEKDAYS for name in names):
            raise ValueError("expected weekdays such as mon-fri, mon,wed or sat")
        first, last = WEEKDAYS.index(names[0]), WEEKDAYS.index(names[-1])
        span = (last - first) % 7 + 1
        days += [(first + step) % 7 + 1 for step in range(span)]
    if len(set(days)) != len(days):
        raise ValueError("names a weekday twice")
    return tuple(days)


def format_weekdays(days: Sequence[int]) -> str:
    """The shortest usual way to write the days: runs of three and more as a span."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    names = [
        f"{WEEKDAYS[run[0] - 1]}-{WEEKDAYS[run[-1] - 1]}" if len(run) > 2 else ",".join(WEEKDAYS[d - 1] for d in run)
        for run in runs
    ]
    return ",".join(names)


def week_of(entries: Mapping[str, Iterable[Window]]) -> dict[int, tuple[Window, ...]]:
    """The week of a calendar: windows by ISO weekday. Raises ValueError if two entries give the same day."""
    given: dict[int, str] = {}
    week: dict[int, tuple[Window, ...]] = {}
    for text, windows in entries.items():
        for day in parse_weekdays(text):
            if day in given:
                raise ValueError(f'{WEEKDAYS[day - 1]} is given by both "{given[day]}" and "{text}"')
            given[day] = text
            if canonical := canonical_windows(windows):
                week[day] = canonical
    return dict(sorted(week.items()))


def format_week(week: Mapping[int, Sequence[Window]]) -> dict[str, list[str]]:
    """The week as a settings file writes it: days with the same hours together."""
    groups: dict[tuple[Window, ...], list[int]] = {}
    for day, windows in sorted(week.items()):
        groups.setdefault(tuple(windows), []).append(day)
    return {format_weekdays(days): [format_window(window) for window in windows] for windows, days in groups.items()}


def _parse_time(text: str) -> str | None:
    match = _TIME.fullmatch(text)
    if not match:
        return None
    hours, minutes, seconds = int(match[1]), match[2], match[3] or "00"
    if hours > 24 or (hours == 24 and (minutes, seconds) != ("00", "00")):
        return None
    return f"{hours:02d}:{minutes}" + ("" if seconds == "00" else f":{seconds}")
