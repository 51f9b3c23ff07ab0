"""Intervals, stages, cycles, due times and aggregates of one project, from its events and settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import cache, cached_property
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.calendars import Calendar
from tests.oracle.inputs import CycleRule, Event, Override, Project, Status

_ZERO = timedelta(0)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_CANCELLED = {"keycrm": {"6"}}
HORIZON = timedelta(days=5 * 366 + 1)
"""A due time is looked for to the end of the day 5 years (of 366 days) after that of the last event or today."""


@dataclass
class Interval:
    order_id: str
    number: int
    event: Event
    group_id: str | None
    is_closing: bool
    is_urgent: bool
    left_at: datetime | None
    elapsed: timedelta | None
    working: timedelta | None

    @property
    def entered_at(self) -> datetime:
        return self.event.at


@dataclass
class Stage:
    order_id: str
    group_id: str
    intervals: list[Interval]
    visits: int
    is_current: bool
    is_urgent: bool
    limit: int | None
    state: str | None

    @property
    def closed(self) -> list[Interval]:
        return [interval for interval in self.intervals if interval.left_at is not None]

    @property
    def working(self) -> timedelta:
        return _total(interval.working for interval in self.closed)

    @property
    def elapsed(self) -> timedelta:
        return _total(interval.elapsed for interval in self.closed)

    @property
    def last_left_at(self) -> datetime | None:
        return max((interval.left_at for interval in self.closed if interval.left_at is not None), default=None)


@dataclass
class Cycle:
    order_id: str
    rule_id: str
    is_urgent: bool
    started_at: datetime
    ended_at: datetime | None
    duration: timedelta | None
    working: timedelta | None
    state: str | None
    updated_at: datetime


class Metrics:
    """Everything that the marts say of one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.zone = ZoneInfo(project.time_zone)
        self.calendar: Callable[[str | None], Calendar] = cache(lambda group_id: Calendar(project, group_id))

    @cached_property
    def histories(self) -> dict[str, list[Interval]]:
        """Intervals by order, in order."""
        events: dict[str, list[Event]] = defaultdict(list)
        for event in self.project.events:
            events[event.order_id].append(event)
        return {order_id: self._history(order_id, found) for order_id, found in events.items()}

    @property
    def intervals(self) -> Iterator[Interval]:
        for history in self.histories.values():
            yield from history

    @cached_property
    def stages(self) -> dict[tuple[str, str], Stage]:
        found = {}
        for order_id, history in self.histories.items():
            for group_id in {interval.group_id for interval in history}:
                if group_id is not None:
                    found[order_id, group_id] = self._stage(order_id, group_id, history)
        return found

    @cached_property
    def cycles(self) -> dict[tuple[str, str], Cycle]:
        found = {}
        for order_id, history in self.histories.items():
            for rule in self.project.cycles:
                cycle = self._cycle(order_id, rule, history)
                if cycle is not None:
                    found[order_id, rule.rule_id] = cycle
        return found

    def is_urgent(self, order_id: str) -> bool:
        override = self.override(order_id)
        if override.is_urgent is not None:
            return override.is_urgent
        return any(
            (match, value) in self.project.urgent
            for item in self.project.items.get(order_id, [])
            for match, value in item.items()
        )

    def override(self, order_id: str) -> Override:
        return self.project.overrides.get(order_id, Override())

    def status(self, status_id: str | None) -> Status:
        return self.project.statuses.get(status_id or "", Status(None, None, is_closing=False))

    def is_cancelled(self, group_id: str | None) -> bool:
        return group_id in _CANCELLED[self.project.crm]

    def state(self, working: timedelta, limit: int | None) -> str | None:
        if limit is None:
            return None
        if working > timedelta(seconds=limit):
            return "over"
        return "near" if seconds(working) >= self.project.near_threshold * limit else "ok"

    def limit(self, order_id: str, group_id: str) -> int | None:
        limits, profile = self.project.limits, self.override(order_id).profile
        if profile is None and self.is_urgent(order_id):
            profile = "urgent"
        return limits.get((profile or "normal", group_id), limits.get(("normal", group_id)))

    def _history(self, order_id: str, events: list[Event]) -> list[Interval]:
        events = sorted(events, key=lambda event: (event.at, event.event_id))
        history = []
        for index, event in enumerate(events):
            status = self.status(event.status_id)
            group_id = event.group_id if event.group_id is not None else status.group_id
            left_at = events[index + 1].at if index + 1 < len(events) else None
            elapsed = working = None
            if left_at is not None:
                elapsed = left_at - event.at
                working = self.calendar(group_id).worked(event.at, left_at)
            if status.is_closing:
                working = _ZERO
            history.append(
                Interval(
                    order_id,
                    index + 1,
                    event,
                    group_id,
                    status.is_closing,
                    self.is_urgent(order_id),
                    left_at,
                    elapsed,
                    working,
                )
            )
        return history

    def _stage(self, order_id: str, group_id: str, history: list[Interval]) -> Stage:
        own = [interval for interval in history if interval.group_id == group_id]
        limit = None if all(interval.is_closing for interval in own) else self.limit(order_id, group_id)
        worked = _total(interval.working for interval in own if interval.left_at is not None)
        return Stage(
            order_id,
            group_id,
            own,
            visits=sum(1 for run, _ in groupby(history, key=lambda interval: interval.group_id) if run == group_id),
            is_current=history[-1].group_id == group_id,
            is_urgent=self.is_urgent(order_id),
            limit=limit,
            state=self.state(worked, limit),
        )

    def _cycle(self, order_id: str, rule: CycleRule, history: list[Interval]) -> Cycle | None:
        override = self.override(order_id)
        starts = (override.cycle_start, None) if override.cycle_start else (rule.start_group, rule.start_status)
        ends = (override.cycle_end, None) if override.cycle_end else (rule.end_group, rule.end_status)
        start = next((index for index, interval in enumerate(history) if _is_in(interval, *starts)), None)
        if start is None:
            return None
        end = next((index for index in range(start + 1, len(history)) if _is_in(history[index], *ends)), None)
        passed = history[start:end]
        stages = [self.stages.get((order_id, interval.group_id or "")) for interval in passed]
        states = {stage.state for stage in stages if stage is not None}
        read = history[start:] if end is None else history[start : end + 1]
        is_done = end is not None
        return Cycle(
            order_id,
            rule.rule_id,
            self.is_urgent(order_id),
            history[start].entered_at,
            history[end].entered_at if end is not None else None,
            _total(interval.elapsed for interval in passed) if is_done else None,
            _total(interval.working for interval in passed) if is_done else None,
            next((state for state in ("over", "near", "ok") if state in states), None),
            max(interval.event.ingested_at for interval in read),
        )

    # orders_current

    def current(self, order_id: str, now: datetime) -> dict[str, Any]:
        """The row of orders_current, read at `now`, of an order that has events."""
        history = self.histories[order_id]
        last = history[-1]
        stage = self.stages.get((order_id, last.group_id or ""))
        working = None
        if stage is not None:
            working = stage.working
            if not last.is_closing and now > last.entered_at:
                working += self.calendar(last.group_id).worked(last.entered_at, now)
        limit = stage.limit if stage is not None and not last.is_closing else None
        default = next((rule for rule in self.project.cycles if rule.is_default), None)
        cycle = self.cycles.get((order_id, default.rule_id)) if default else None
        created = self.project.orders.get(order_id, {}).get("order_created_at") or min(
            (each.event.order_created_at for each in history if each.event.order_created_at), default=None
        )
        return {
            "order_created_at": created,
            "started_at": history[0].entered_at,
            "last_status_id": last.event.status_id,
            "last_status_name": self.status(last.event.status_id).name,
            "last_status_group_id": last.group_id,
            "last_status_group_name": self.project.groups.get(last.group_id or ""),
            "last_changed_at": last.entered_at,
            "is_closed": last.is_closing,
            "closed_at": last.entered_at if last.is_closing else None,
            "is_urgent": self.is_urgent(order_id),
            "stage_working_seconds": seconds_or_none(working),
            "sla_limit_seconds": limit,
            "sla_state": self.state(working, limit) if working is not None else None,
            **self._instants(stage if limit is not None else None, now),
            "delivery_entered_at": self._delivery(order_id, default),
            "cycle_rule_id_applied": cycle.rule_id if cycle else None,
            "cycle_duration_to_delivery": seconds_or_none(cycle.duration) if cycle else None,
        }

    def _instants(self, stage: Stage | None, now: datetime) -> dict[str, datetime | None]:
        """When an open order's current stage turns near, reaches its limit, and is at its limit for the last time."""
        if stage is None or stage.limit is None:
            return {"sla_near_at": None, "sla_due_at": None, "sla_over_at": None}
        near = int((self.project.near_threshold * stage.limit * 1_000_000).to_integral_value(ROUND_CEILING))
        beyond = self.reached(stage, timedelta(seconds=stage.limit) + _MICROSECOND, now)
        return {
            "sla_near_at": self.reached(stage, near * _MICROSECOND, now),
            "sla_due_at": self.reached(stage, timedelta(seconds=stage.limit), now),
            "sla_over_at": None if beyond is None else beyond - _MICROSECOND,
        }

    def reached(self, stage: Stage, amount: timedelta, now: datetime) -> datetime | None:
        """When the working time of an open order's current stage, summed over its visits, reaches an amount."""
        left = amount
        calendar = self.calendar(stage.group_id)
        for interval in stage.intervals:
            if interval.is_closing:
                continue
            if interval.working is None or interval.working >= left:
                last = max([now, *(event.at for event in self.project.events)]).astimezone(UTC)
                end = last.replace(hour=0, minute=0, second=0, microsecond=0) + HORIZON
                reached = calendar.reached(interval.entered_at, left, within=end + _DAY - interval.entered_at)
                return reached if reached is not None and (reached <= end or calendar.is_always_open) else None
            left -= interval.working
        return None

    def _delivery(self, order_id: str, default: CycleRule | None) -> datetime | None:
        if default is None:
            return None
        own = self.override(order_id).cycle_end
        ends = (own, None) if own else (default.end_group, default.end_status)
        return next((each.entered_at for each in self.histories[order_id] if _is_in(each, *ends)), None)

    # Aggregates

    def period(self, grain: str, moment: datetime) -> date:
        day = moment.astimezone(self.zone).date()
        if grain == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if grain == "month" else day

    def stage_durations(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        facts = [(stage.group_id, stage.last_left_at, stage, stage.visits) for stage in self.stages.values()]
        return self._durations(
            (key, at, stage.is_urgent, stage.order_id, visits, stage.working, stage.elapsed, stage.state)
            for key, at, stage, visits in facts
            if at is not None
        )

    def status_durations(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        def state(interval: Interval) -> str | None:
            stage = self.stages.get((interval.order_id, interval.group_id or ""))
            return stage.state if stage else None

        return self._durations(
            (
                each.event.status_id,
                each.left_at,
                each.is_urgent,
                each.order_id,
                1,
                each.working,
                each.elapsed,
                state(each),
            )
            for each in self.intervals
            if each.left_at is not None
        )

    def cycle_durations(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        return self._durations(
            (each.rule_id, each.ended_at, each.is_urgent, each.order_id, 1, each.working, each.duration, each.state)
            for each in self.cycles.values()
            if each.ended_at is not None
        )

    def _durations(self, facts: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], dict[str, Any]]:
        """(grain, period_start, key, is_urgent) -> measures.

        A fact is (key, at, is_urgent, order, visits, working, elapsed, SLA state).
        """
        cells: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for fact in facts:
            key, at, is_urgent = fact[:3]
            for grain in ("day", "week", "month"):
                cells[grain, self.period(grain, at), key, is_urgent].append(fact)
        return {cell: _measures(found) for cell, found in cells.items()}

    def cancellations(self) -> dict[tuple[Any, ...], dict[str, int]]:
        """(grain, period_start, previous group, is_urgent) -> exits, cancellations."""
        cells: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: {"exits": 0, "cancellations": 0})
        for history in self.histories.values():
            previous = None
            for index, interval in enumerate(history):
                is_entry = index == 0 or interval.group_id != previous
                if is_entry and not self.is_cancelled(previous):
                    for grain in ("day", "week", "month"):
                        key = (grain, self.period(grain, interval.entered_at), previous or "", interval.is_urgent)
                        cells[key]["exits"] += 1
                        cells[key]["cancellations"] += self.is_cancelled(interval.group_id)
                previous = interval.group_id
        return dict(cells)

    def cancellations_by_status(self) -> dict[tuple[Any, ...], dict[str, int]]:
        """(grain, period_start, previous status, is_urgent) -> exits, cancellations."""
        cells: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: {"exits": 0, "cancellations": 0})
        for history in self.histories.values():
            for before, interval in zip([None, *history], history, strict=False):
                if before is not None and self.is_cancelled(before.group_id):
                    continue
                status = "" if before is None else before.event.status_id
                for grain in ("day", "week", "month"):
                    key = (grain, self.period(grain, interval.entered_at), status, interval.is_urgent)
                    cells[key]["exits"] += 1
                    cells[key]["cancellations"] += self.is_cancelled(interval.group_id)
        return dict(cells)

    def successes(self) -> dict[tuple[Any, ...], dict[str, int]]:
        """(grain, period_start, is_urgent) -> orders, cancelled, on_time, late, without_limit."""
        names = ("orders", "cancelled", "on_time", "late", "without_limit")
        cells: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(names, 0))
        for order_id, history in self.histories.items():
            last = history[-1]
            if not last.is_closing and not self.is_cancelled(last.group_id):
                continue
            states = {stage.state for stage in self.stages.values() if stage.order_id == order_id} - {None}
            if self.is_cancelled(last.group_id):
                end = "cancelled"
            elif not states:
                end = "without_limit"
            else:
                end = "late" if "over" in states else "on_time"
            for grain in ("day", "week", "month"):
                cell = cells[grain, self.period(grain, last.entered_at), last.is_urgent]
                cell["orders"] += 1
                cell[end] += 1
        return dict(cells)


def seconds(span: timedelta) -> Decimal:
    """Exact: whole microseconds as seconds with six digits."""
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


def seconds_or_none(span: timedelta | None) -> Decimal | None:
    return None if span is None else seconds(span)


def _measures(facts: list[tuple[Any, ...]]) -> dict[str, Any]:
    measures: dict[str, Any] = {
        "orders": len({fact[3] for fact in facts}),
        "visits": sum(fact[4] for fact in facts),
    }
    for name, position in (("working", 5), ("elapsed", 6)):
        values = sorted(fact[position] for fact in facts)
        measures[f"total_{name}_seconds"] = seconds(sum(values, _ZERO))
        measures[f"avg_{name}_seconds"] = seconds(sum(values, _ZERO)) / len(values)
        measures[f"median_{name}_seconds"] = percentile(values, Decimal("0.5"))
        measures[f"p90_{name}_seconds"] = percentile(values, Decimal("0.9"))
    for state in ("ok", "near", "over"):
        measures[f"sla_{state}"] = len({fact[3] for fact in facts if fact[7] == state})
    return measures


def percentile(ordered: list[timedelta], fraction: Decimal) -> Decimal:
    """Interpolated between the two nearest, in seconds."""
    place = fraction * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = seconds(ordered[below]), seconds(ordered[above])
    return low + (high - low) * (place - below)


def _is_in(interval: Interval, group_id: str | None, status_id: str | None) -> bool:
    return interval.group_id == group_id if group_id is not None else interval.event.status_id == status_id


def _total(spans: Iterable[timedelta | None]) -> timedelta:
    total = _ZERO
    for span in spans:
        assert span is not None
        total += span
    return total
