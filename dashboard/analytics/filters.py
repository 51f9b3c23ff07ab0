"""What an address of analytics asks for; pure. The same words serve pages and `/api/analytics`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal, get_args

from database.repositories.analytics import Filter, Grain

GRAINS: tuple[Grain, ...] = get_args(Grain)
Clock = Literal["working", "elapsed"]
MOST_PERIODS = 200
"""Of one span: more are no picture any more."""
_SPANS: Mapping[Grain, int] = {"day": 30, "week": 12, "month": 12}
"""Periods that a span has if the address does not say."""
_EARLIEST, _LATEST = date(1970, 1, 1), date(9000, 1, 1)


@dataclass(frozen=True, slots=True)
class Filters:
    """A span of periods, and which orders in it. All parts must hold; None does not matter."""

    first: date
    """Of the first period."""
    last: date
    """The day up to which periods begin."""
    grain: Grain = "week"
    period: date | None = None
    """The period that percentiles are shown of; None: the newest that has any."""
    group: str | None = None
    is_urgent: bool | None = None
    clock: Clock = "working"
    at_least: float = 1.0
    """Per cent of the orders, below which the map leaves a transition out."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """By field: a sentence, in English; the field then has its default."""

    def of(self, projects: list[str], *, period: date | None = None, grain: Grain | None = None) -> Filter:
        """For the marts: the span, or one period of it."""
        return Filter(
            projects, grain or self.grain, period or self.first, period or self.last, self.group, self.is_urgent
        )


def parsed(query: Mapping[str, str], today: date) -> Filters:
    """Never fails: what cannot be read is told in `errors`."""
    errors: dict[str, str] = {}
    grain = next((grain for grain in GRAINS if grain == query.get("grain", "week")), None)
    if grain is None:
        errors["grain"] = "Choose day, week or month."
        grain = "week"
    last = _date(query, "to", errors) or today
    default = begins(grain, last)
    for _ in range(_SPANS[grain] - 1):
        default = begins(grain, default - timedelta(days=1))
    first = begins(grain, _date(query, "from", errors) or default)
    if problem := span_problem(grain, first, last):
        errors["from"] = problem
        first = min(default, begins(grain, last))
    period = _date(query, "period", errors)
    if period and period < first:
        first = begins(grain, period)
    clock: Clock = "elapsed" if query.get("clock") == "elapsed" else "working"
    urgent = query.get("urgent", "")
    if urgent not in ("", "true", "false"):
        errors["urgent"] = "Choose normal orders, urgent orders or all."
    return Filters(
        first, last, grain, begins(grain, period) if period else None, query.get("group") or None,
        {"true": True, "false": False}.get(urgent), clock, _share(query, errors), errors,
    )  # fmt: skip


def span_problem(grain: Grain, first: date, last: date) -> str | None:
    """Why a span is refused, as a sentence."""
    if first > last:
        return "The first day lies behind the last one: choose an earlier one."
    if (last - first).days / {"day": 1, "week": 7, "month": 28}[grain] > MOST_PERIODS:
        return "The span has more than 200 periods: choose a shorter one, or weeks or months."
    return None


def begins(grain: Grain, day: date) -> date:
    """First day of the day, ISO week or month in which a day lies."""
    if grain == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else day


def periods(filters: Filters) -> list[date]:
    """First days of all periods of the span, oldest first."""
    return list(_periods(filters.grain, begins(filters.grain, filters.first), filters.last))


def neighbours(grain: Grain, period: date, today: date) -> tuple[date, date | None]:
    """The periods before and after one; none after that of today."""
    before = begins(grain, period - timedelta(days=1))
    after = begins(grain, period + timedelta(days={"day": 1, "week": 7, "month": 31}[grain]))
    return before, after if after <= today else None


def _periods(grain: Grain, first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day = begins(grain, day + timedelta(days={"day": 1, "week": 7, "month": 31}[grain]))


def _date(query: Mapping[str, str], name: str, errors: dict[str, str]) -> date | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if _EARLIEST <= day <= _LATEST:
        return day
    errors[name] = "Write the day as 2026-11-30."
    return None


def _share(query: Mapping[str, str], errors: dict[str, str]) -> float:
    text = query.get("share", "").strip().replace(",", ".")
    if not text:
        return 1.0
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if 0 <= share <= 100:
        return share
    errors["share"] = "Write a number of per cent between 0 and 100."
    return 1.0
