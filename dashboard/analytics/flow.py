"""Throughput and backlog per day, ageing of open orders; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dashboard.analytics.texts import period_name, stage_name, translator
from dashboard.ui.charts import Chart, Part, Row, Series, lines, shares
from dashboard.ui.charts.shown import TONES, Tone
from dashboard.ui.language import Language

Rows = Sequence[Mapping[str, Any]]
MOST_LINES = len(TONES)
_AGES: tuple[Tone, ...] = ("none", "c2", "c1", "c4", "c5", "near", "over")
"""Colours of the buckets of age, from unknown to the oldest; further ones have the last."""


@dataclass(frozen=True, slots=True)
class StageFlow:
    project_id: str
    stage: str
    entered: int
    exited: int
    ended: int
    backlog: int
    """When the newest day ended."""


@dataclass(frozen=True, slots=True)
class Ageing:
    project_id: str
    stage: str
    is_urgent: bool
    orders: int
    ok: int
    near: int
    over: int
    longest: Decimal | None
    """Working seconds in the stage."""
    oldest: datetime | None


def days(rows: Rows) -> list[date]:
    """From the first day of the rows to the last, without gaps."""
    known = [row["local_date"] for row in rows]
    if not known:
        return []
    return [min(known) + timedelta(days=number) for number in range((max(known) - min(known)).days + 1)]


def throughput_chart(rows: Rows, is_one_stage: bool, language: Language) -> Chart | None:
    """Orders that ended on each day, of all projects; of one stage: those that came in and went out too."""
    gettext = translator(language)
    dates = days(rows)
    if not dates:
        return None
    cells: dict[str, Counter[date]] = defaultdict(Counter)
    for row in rows:
        for name in ("entered", "exited", "ended"):
            cells[name][row["local_date"]] += row[name]
    shown = (
        [("entered", gettext("came in")), ("exited", gettext("went out"))]
        if is_one_stage
        else [("ended", gettext("ended"))]
    )
    series = [
        Series(word, [float(cells[name][day]) for day in dates], tone)
        for tone, (name, word) in zip(TONES, shown, strict=False)
    ]
    return lines(language, gettext("Throughput per day"), _labels(dates, language), series, "count", gettext("Day"))


def backlog_chart(rows: Rows, names: Mapping[str, str], language: Language) -> Chart | None:
    """Orders in the stages with most of them, when each day ended."""
    gettext = translator(language)
    dates = days(rows)
    if not dates:
        return None
    cells: dict[str, Counter[date]] = defaultdict(Counter)
    for row in rows:
        stage = stage_name(row, "status_group", language)
        title = f"{stage} · {names[row['project_id']]}" if len(names) > 1 else stage
        cells[title][row["local_date"]] += row["backlog"]
    most = sorted(cells, key=lambda title: (-cells[title].total(), title))[:MOST_LINES]
    series = [
        Series(title, [float(cells[title][day]) for day in dates], tone)
        for tone, title in zip(TONES, most, strict=False)
    ]
    return lines(
        language, gettext("Backlog at the end of the day"), _labels(dates, language), series, "count", gettext("Day")
    )


def stage_flows(rows: Rows, language: Language) -> list[StageFlow]:
    """Of sums by stage."""
    return [
        StageFlow(
            row["project_id"], stage_name(row, "status_group", language),
            row["entered"], row["exited"], row["ended"], row["backlog"],
        )
        for row in rows
    ]  # fmt: skip


def ageing_table(rows: Rows, language: Language) -> list[Ageing]:
    cells: dict[tuple[str, int, str, bool], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        stage = row["status_group_id"]
        cells[row["project_id"], len(stage), stage, row["is_urgent"]].append(row)
    return [
        Ageing(
            project,
            stage_name(found[0], "status_group", language),
            is_urgent,
            orders=sum(row["orders"] for row in found),
            ok=sum(row["sla_ok"] for row in found),
            near=sum(row["sla_near"] for row in found),
            over=sum(row["sla_over"] for row in found),
            longest=max(_known(found, "max_stage_working_seconds"), default=None),
            oldest=min(_known(found, "oldest_begun_at"), default=None),
        )
        for (project, _, _, is_urgent), found in sorted(cells.items())
    ]


def _known(rows: Rows, name: str) -> list[Any]:
    return [row[name] for row in rows if row[name] is not None]


def ageing_chart(rows: Rows, names: Mapping[str, str], language: Language) -> Chart | None:
    """Open orders of each stage by age."""
    gettext = translator(language)
    if not rows:
        return None
    buckets = dict(sorted({row["age_bucket"]: row["age_bucket_label"] for row in rows}.items()))
    cells: dict[str, Counter[int]] = defaultdict(Counter)
    for row in sorted(rows, key=lambda row: (row["project_id"], len(row["status_group_id"]), row["status_group_id"])):
        stage = stage_name(row, "status_group", language)
        title = f"{stage} · {names[row['project_id']]}" if len(names) > 1 else stage
        cells[title][row["age_bucket"]] += row["orders"]
    parts = [Part(_bucket(label, language), _AGES[min(number, len(_AGES) - 1)]) for number, label in buckets.items()]
    made = [Row(title, [counts[number] for number in buckets]) for title, counts in cells.items()]
    return shares(language, gettext("Open orders by age"), made[:16], parts, gettext("Stage"))


def _bucket(label: str, language: Language) -> str:
    """`1-3 d` of the mart in the user's language."""
    gettext = translator(language)
    if label == "unknown":
        return gettext("unknown")
    return label.removesuffix(" d").replace("-", "–").replace(">=", "≥") + " " + gettext("d")


def _labels(dates: Sequence[date], language: Language) -> list[str]:
    return [period_name("day", day, language) for day in dates]
