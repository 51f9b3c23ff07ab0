"""SLA compliance, on-time success, cancellations, first pass: counts, which add up over periods and projects; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dashboard.analytics.filters import Filters, periods
from dashboard.analytics.texts import kind_name, period_name, stage_name, translator
from dashboard.ui.charts import Chart, Part, Row, Series, bars, lines, shares
from dashboard.ui.charts.shown import TONES
from dashboard.ui.language import Language

MOST_ROWS = 16
"""Of a picture; the table has all."""
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StageCounts:
    """Of one stage and kind of orders, over the span."""

    project_id: str
    stage: str
    is_urgent: bool
    counts: Mapping[str, int]

    def share(self, part: Sequence[str], whole: Sequence[str]) -> float | None:
        return share(self.counts, part, whole)


def share(counts: Mapping[str, int], part: Sequence[str], whole: Sequence[str]) -> float | None:
    """None of nothing."""
    total = sum(counts.get(name, 0) for name in whole)
    return sum(counts.get(name, 0) for name in part) / total if total else None


def totals(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        found.update({name: row[name] for name in names})
    return found


def by_stage(rows: Rows, prefix: str, names: Sequence[str], language: Language) -> list[StageCounts]:
    """`prefix` of the columns `_id` and `_name`. By project, then by stage id as people count, normal before urgent."""
    cells: dict[tuple[str, int, str, bool], Counter[str]] = defaultdict(Counter)
    stages: dict[tuple[str, str], str] = {}
    for row in rows:
        stage = row[f"{prefix}_id"]
        cells[row["project_id"], len(stage), stage, row["is_urgent"]].update({name: row[name] for name in names})
        stages[row["project_id"], stage] = stage_name(row, prefix, language)
    return [
        StageCounts(project, stages[project, stage], is_urgent, dict(cells[project, length, stage, is_urgent]))
        for project, length, stage, is_urgent in sorted(cells)
    ]


def sla_chart(found: Sequence[StageCounts], names: Mapping[str, str], language: Language) -> Chart | None:
    """Shares of ok, near and over for each stage, normal and urgent orders together."""
    gettext = translator(language)
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for each in found:
        rows[_title(each, names)].update(each.counts)
    parts = [Part(gettext("ok"), "ok"), Part(gettext("near"), "near"), Part(gettext("over"), "over")]
    made = [Row(name, [counts[f"sla_{state}"] for state in ("ok", "near", "over")]) for name, counts in rows.items()]
    return shares(language, gettext("SLA by stage"), made[:MOST_ROWS], parts, gettext("Stage")) if made else None


def cancellation_chart(found: Sequence[StageCounts], names: Mapping[str, str], language: Language) -> Chart | None:
    gettext = translator(language)
    counts: Counter[str] = Counter()
    for each in found:
        counts[_title(each, names)] += each.counts["cancellations"]
    most = [(name, count) for name, count in counts.most_common(8) if count]
    if not most:
        return None
    series = [Series(gettext("Cancellations"), [float(count) for _, count in most], "over")]
    return bars(
        language, gettext("Cancellations by stage"), [name for name, _ in most], series, "count", gettext("Stage")
    )


def rate_chart(
    rows: Rows, part: Sequence[str], whole: Sequence[str], filters: Filters, title: str, language: Language
) -> Chart | None:
    """A rate over the periods of the span, of normal and of urgent orders; all projects together."""
    if not rows:
        return None
    cells: dict[tuple[bool, date], Counter[str]] = defaultdict(Counter)
    for row in rows:
        cells[row["is_urgent"], row["period_start"]].update({name: row[name] for name in {*part, *whole}})
    starts = periods(filters)
    series = [
        Series(
            kind_name(is_urgent, language),
            [share(cells[is_urgent, start], part, whole) if (is_urgent, start) in cells else None for start in starts],
            tone,
        )
        for is_urgent, tone in zip(sorted({is_urgent for is_urgent, _ in cells}), TONES, strict=False)
    ]
    labels = [period_name(filters.grain, start, language) for start in starts]
    return lines(language, title, labels, series, "share", translator(language)("Period"))


def by_period(rows: Rows, names: Sequence[str]) -> list[tuple[date, Counter[str]]]:
    """Counts of all projects in each period that has any, the newest first."""
    cells: dict[date, Counter[str]] = defaultdict(Counter)
    for row in rows:
        cells[row["period_start"]].update({name: row[name] for name in names})
    return sorted(cells.items(), reverse=True)


def _title(each: StageCounts, names: Mapping[str, str]) -> str:
    """With the project where there are several."""
    return f"{each.stage} · {names[each.project_id]}" if len(names) > 1 else each.stage
