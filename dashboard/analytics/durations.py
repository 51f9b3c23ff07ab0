"""Times of one project's stages, statuses or cycles: a table of one period, and how it went over the span; pure.

A cell of the marts has its own median and 90th percentile. Those of several cells cannot be had from them, so that the
table is of one period, and normal and urgent orders have rows of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from dashboard.analytics.filters import Clock, Filters, periods
from dashboard.analytics.texts import kind_name, period_name, period_title, translator
from dashboard.ui.charts import Chart, Series, bars, lines
from dashboard.ui.charts.shown import TONES
from dashboard.ui.language import Language

MOST_LINES = len(TONES)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table. Seconds of the clock that is chosen; None: nothing is known."""

    key: str
    name: str
    is_urgent: bool
    orders: int
    visits: int
    average: Decimal | None
    median: Decimal | None
    p90: Decimal | None
    total: Decimal | None
    ok: int
    near: int
    over: int


@dataclass(frozen=True, slots=True)
class Durations:
    period: date | None
    """That the table is of; None: the span has no rows."""
    lines: list[Line]
    spread: Chart | None
    """Median and 90th percentile of the period, side by side."""
    trend: Chart | None


def durations(
    rows: Sequence[Mapping[str, Any]],
    key: str,
    name: str,
    filters: Filters,
    language: Language,
    titles: Mapping[str, str],
) -> Durations:
    """`rows`: of the span. `titles`: `first` (what a row is), `spread`, `trend`, in the user's language."""
    known = {row["period_start"] for row in rows}
    period = filters.period if filters.period in known else max(known, default=None)
    if period is None:
        return Durations(None, [], None, None)
    found = lines_of([row for row in rows if row["period_start"] == period], key, name, filters.clock)
    shown = period_title(filters.grain, period, language)
    return Durations(
        period,
        found,
        _spread(found, f"{titles['spread']}, {shown}", titles["first"], language),
        _trend(rows, key, name, filters, titles, language),
    )


def lines_of(rows: Sequence[Mapping[str, Any]], key: str, name: str, clock: Clock) -> list[Line]:
    """By id as people count (2 before 10), normal before urgent."""
    made = [
        Line(
            row[key], row[name] or row[key], row["is_urgent"], row["orders"], row["visits"],
            row[f"avg_{clock}_seconds"], row[f"median_{clock}_seconds"], row[f"p90_{clock}_seconds"],
            row[f"total_{clock}_seconds"], row["sla_ok"], row["sla_near"], row["sla_over"],
        )
        for row in rows
    ]  # fmt: skip
    return sorted(made, key=lambda line: (len(line.key), line.key, line.is_urgent))


def _spread(found: Sequence[Line], title: str, first: str, language: Language) -> Chart:
    gettext = translator(language)
    names = dict.fromkeys((line.key, line.name) for line in found)
    cells = {(line.key, line.is_urgent): line for line in found}
    series = []
    for is_urgent in sorted({line.is_urgent for line in found}):
        own = [cells.get((key, is_urgent)) for key, _ in names]
        kind = kind_name(is_urgent, language)
        tones = TONES[2:4] if is_urgent else TONES[:2]
        for tone, measure, word in zip(
            tones, ("median", "p90"), (gettext("median"), gettext("90th percentile")), strict=True
        ):
            values = [_number(getattr(line, measure)) if line else None for line in own]
            series.append(Series(f"{kind}, {word}", values, tone))
    return bars(language, title, [name for _, name in names], series, "seconds", first)


def _trend(
    rows: Sequence[Mapping[str, Any]],
    key: str,
    name: str,
    filters: Filters,
    titles: Mapping[str, str],
    language: Language,
) -> Chart:
    """One stage: its average, median and 90th percentile. Several: the median of those that took most time."""
    gettext = translator(language)
    kinds = {row["is_urgent"] for row in rows}
    is_urgent = filters.is_urgent if filters.is_urgent is not None else kinds == {True}
    starts = periods(filters)
    own = [row for row in rows if row["is_urgent"] == is_urgent]
    totals: dict[str, Decimal] = defaultdict(Decimal)
    names = {}
    for row in own:
        totals[row[key]] += row[f"total_{filters.clock}_seconds"] or 0
        names[row[key]] = row[name] or row[key]
    most = sorted(totals, key=lambda each: (-totals[each], each))[:MOST_LINES]
    cells = {(row[key], row["period_start"]): row for row in own}

    def values(each: str, measure: str) -> list[float | None]:
        found = (cells.get((each, start)) for start in starts)
        return [_number(row[f"{measure}_{filters.clock}_seconds"]) if row else None for row in found]

    if len(most) == 1:
        measures = (("avg", gettext("average")), ("median", gettext("median")), ("p90", gettext("90th percentile")))
        series = [
            Series(word, values(most[0], measure), tone) for tone, (measure, word) in zip(TONES, measures, strict=False)
        ]
        title = f"{titles['trend']}: {names[most[0]]}, {kind_name(is_urgent, language).lower()}"
    else:
        series = [Series(names[each], values(each, "median"), tone) for tone, each in zip(TONES, most, strict=False)]
        title = f"{titles['trend']}: {gettext('median')}, {kind_name(is_urgent, language).lower()}"
    labels = [period_name(filters.grain, start, language) for start in starts]
    return lines(language, title, labels, series, "seconds", gettext("Period"))


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
