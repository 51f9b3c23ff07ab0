"""Pictures of a week of working hours: bars of a day's open time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.settings.forms.base import Fields
from dashboard.settings.forms.hours import ALWAYS, PRESETS
from sync.settings.hours import WEEKDAYS, parse_window

_HOUR, _DAY = 60, 24 * 60


@dataclass(frozen=True, slots=True)
class Bar:
    """Open from `start` for `length`, minutes of the day."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Day:
    name: str
    bars: tuple[Bar, ...]
    minutes: int
    """Open time, overlaps counted once."""


def week_of(fields: Fields, name: str) -> list[Day] | None:
    """The week that the fields `NAME.mon`..`NAME.sun` describe; None if one of them cannot be read."""
    chosen: Mapping[str, str] = PRESETS.get(fields.get(f"{name}.preset", ""), {})
    is_always = fields.get(f"{name}.preset") == ALWAYS
    minutes: dict[int, list[tuple[int, int]]] = {index: [] for index in range(7)}
    for index, day in enumerate(WEEKDAYS):
        text = chosen.get(day, "") if is_always else fields.get(f"{name}.{day}", "")
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            try:
                window = parse_window(part)
            except ValueError:
                return None
            opens, closes = _minute(window.opens_at), _minute(window.closes_at)
            if closes > opens:
                minutes[index].append((opens, closes))
            else:
                minutes[index].append((opens, _DAY))
                minutes[(index + 1) % 7].append((0, closes))
    return [_day(day, minutes[index]) for index, day in enumerate(WEEKDAYS)]


def _day(name: str, spans: list[tuple[int, int]]) -> Day:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    bars = tuple(Bar(start, end - start) for start, end in merged)
    return Day(name, bars, sum(bar.length for bar in bars))


def _minute(text: str) -> int:
    """Of a day; seconds are too small to see."""
    return int(text[:2]) * _HOUR + int(text[3:5])
