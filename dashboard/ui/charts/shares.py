"""How a whole falls into parts, row by row: stacked bars of equal length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.ui import formats
from dashboard.ui.charts.shown import Chart, Tone, drawn
from dashboard.ui.language import Language, translations

WIDTH = 620
_NAME, _COUNT = 170, 64
"""Columns for a row's name and for its whole."""
ROW, BAR = 26, 18
_LETTER = 6.4


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    counts: Sequence[int]
    """One for each part."""


@dataclass(frozen=True, slots=True)
class Segment:
    tone: Tone
    x: float
    y: int
    width: float
    text: str
    """Its share, where there is room for it."""
    title: str


def shares(language: Language, title: str, rows: Sequence[Row], parts: Sequence[Part], first: str = "") -> Chart:
    """Rows of nothing have no bar. Raises ValueError if a row has not one count for each part."""
    made: list[Segment] = []
    for number, row in enumerate(rows):
        if len(row.counts) != len(parts):
            raise ValueError(f"{row.name} has {len(row.counts)} counts for {len(parts)} parts")
        made += _segments(row, parts, number * ROW + 4, language)
    names = [(number * ROW + 4 + BAR / 2, _cut(row.name), row.name) for number, row in enumerate(rows)]
    wholes = [
        (number * ROW + 4 + BAR / 2, formats.number(sum(row.counts), language)) for number, row in enumerate(rows)
    ]
    svg = drawn(
        "shares", language, segments=made, names=names, wholes=wholes, width=WIDTH, height=len(rows) * ROW + 8, bar=BAR,
        left=_NAME, alternative=_alternative(title, rows, parts, language),
    )  # fmt: skip
    table = tuple((row.name, *(formats.number(count, language) for count in row.counts)) for row in rows)
    head = (first, *(part.name for part in parts))
    return Chart(title, svg, head, table, tuple((part.tone, part.name) for part in parts))


def _segments(row: Row, parts: Sequence[Part], y: int, language: Language) -> list[Segment]:
    whole = sum(row.counts)
    room = WIDTH - _NAME - _COUNT
    made: list[Segment] = []
    before = 0
    for part, count in zip(parts, row.counts, strict=True):
        if count:
            begin, end = (round(_NAME + room * edge / whole, 1) for edge in (before, before + count))
            said = formats.percent(count / whole, language)
            text = said if len(said) * _LETTER + 6 <= end - begin else ""
            title = f"{row.name}, {part.name}: {formats.number(count, language)} ({said})"
            made.append(Segment(part.tone, begin, y, round(end - begin, 1), text, title))
        before += count
    return made


def _alternative(title: str, rows: Sequence[Row], parts: Sequence[Part], language: Language) -> str:
    whole = sum(sum(row.counts) for row in rows)
    if not whole:
        return translations(language).gettext("%(title)s: no values.") % {"title": title}
    said = [
        f"{part.name} {formats.percent(sum(row.counts[number] for row in rows) / whole, language)}"
        for number, part in enumerate(parts)
    ]
    return f"{title}: {', '.join(said)}."


def _cut(name: str) -> str:
    return name if len(name) <= 24 else name[:23].rstrip() + "…"
