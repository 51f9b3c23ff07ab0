"""Transitions, variants, daily flow, first pass, bottlenecks and ageing of one project, by going through its orders."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from tests.oracle.metrics import Interval, Metrics, percentile, seconds

Row = dict[str, Any]
Rows = dict[tuple[Any, ...], Row]

WORKING_HOURS = (1, 4, 8, 24, 72)
AGE_DAYS = (1, 3, 7, 14, 30)
_GRAINS = ("day", "week", "month")


def transitions(metrics: Metrics) -> Rows:
    """(from status, to status, is_urgent) -> measures."""
    moves: dict[tuple[Any, ...], list[tuple[str, Interval | None]]] = defaultdict(list)
    for order_id, history in metrics.histories.items():
        before: Interval | None = None
        for each in history:
            origin = before.event.status_id if before else ""
            moves[origin, each.event.status_id, each.is_urgent].append((order_id, before))
            before = each
    return {
        (origin, target, is_urgent): {
            **_status("from", metrics, origin),
            **_status("to", metrics, target),
            "transitions": len(found),
            "orders": len({order_id for order_id, _ in found}),
            **_spread("elapsed", (left.elapsed for _, left in found if left)),
            **_spread("working", (left.working for _, left in found if left)),
        }
        for (origin, target, is_urgent), found in moves.items()
    }


def _status(side: str, metrics: Metrics, status_id: str) -> Row:
    status = metrics.status(status_id)
    return {
        f"{side}_status_name": status.name,
        f"{side}_status_group_id": status.group_id,
        f"{side}_status_group_name": metrics.project.groups.get(status.group_id or ""),
    }


def variants(metrics: Metrics) -> Rows:
    """(is_urgent, is_ended, variant_id) -> measures."""
    default = next((rule.rule_id for rule in metrics.project.cycles if rule.is_default), "")
    paths: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for order_id, history in metrics.histories.items():
        path = tuple(each.event.status_id for each in history)
        paths[metrics.is_urgent(order_id), _ends(metrics, history[-1]), path].append(order_id)
    totals: Counter[tuple[bool, bool]] = Counter()
    for (is_urgent, is_ended, _), orders in paths.items():
        totals[is_urgent, is_ended] += len(orders)
    found: Rows = {}
    for (is_urgent, is_ended, path), orders in paths.items():
        closed = [[each for each in metrics.histories[order] if each.left_at is not None] for order in orders]
        cycles = [metrics.cycles.get((order, default)) for order in orders]
        durations = [cycle.duration for cycle in cycles if cycle is not None and cycle.duration is not None]
        key = hashlib.md5(json.dumps(path, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
        found[is_urgent, is_ended, key] = {
            "status_path": " > ".join(metrics.status(status).name or status for status in path),
            "status_ids": list(path),
            "orders": len(orders),
            "orders_share": Decimal(len(orders)) / totals[is_urgent, is_ended],
            **_spread("elapsed", (_sum(each.elapsed for each in history) for history in closed)),
            **_spread("working", (_sum(each.working for each in history) for history in closed)),
            "cycles": len(durations),
            "median_cycle_seconds": percentile(sorted(durations), Decimal("0.5")) if durations else None,
        }
    return found


@dataclass(frozen=True)
class Stay:
    """An order in a stage, neither closed nor cancelled, in one piece."""

    group_id: str
    is_urgent: bool
    begun_on: date
    left_on: date | None
    ends_the_order: bool


def daily_flow(metrics: Metrics) -> Rows:
    """(local date, group, is_urgent) -> entered, exited, ended, backlog: counted day by day, stay by stay."""
    stays = list(_stays(metrics))
    newest = max((each.event.ingested_at for each in metrics.intervals), default=None)
    if newest is None:
        return {}
    last = metrics.period("day", newest)
    found: Rows = {}
    for group_id, is_urgent in {(stay.group_id, stay.is_urgent) for stay in stays}:
        own = [stay for stay in stays if (stay.group_id, stay.is_urgent) == (group_id, is_urgent)]
        day = min(stay.begun_on for stay in own)
        while day <= last:
            row = {
                "entered": sum(stay.begun_on == day for stay in own),
                "exited": sum(stay.left_on == day for stay in own),
                "ended": sum(stay.left_on == day and stay.ends_the_order for stay in own),
                "backlog": sum(stay.begun_on <= day and (stay.left_on is None or stay.left_on > day) for stay in own),
            }
            if any(row.values()):
                found[day, group_id, is_urgent] = {"status_group_name": metrics.project.groups.get(group_id), **row}
            day += timedelta(days=1)
    return found


def _stays(metrics: Metrics) -> Iterable[Stay]:
    for order_id, history in metrics.histories.items():
        if metrics.project.orders.get(order_id, {}).get("is_deleted"):
            continue

        def place(each: Interval) -> str | None:
            return None if _ends(metrics, each) else each.group_id or ""

        for group_id, run in groupby(history, key=place):
            visit = list(run)
            if group_id is None:
                continue
            left_at = visit[-1].left_at
            following = history[visit[-1].number] if left_at is not None else None
            yield Stay(
                group_id,
                visit[0].is_urgent,
                metrics.period("day", visit[0].entered_at),
                metrics.period("day", left_at) if left_at is not None else None,
                following is not None and _ends(metrics, following),
            )


def first_pass(metrics: Metrics) -> Rows:
    """(grain, period_start, is_urgent) -> counts."""
    names = ("orders", "cancelled", "first_pass", "returned", "returns")
    cells: dict[tuple[Any, ...], Row] = defaultdict(lambda: dict.fromkeys(names, 0))
    for history in metrics.histories.values():
        last = history[-1]
        if not _ends(metrics, last):
            continue
        visited = Counter(group for group, _ in groupby(each.group_id for each in history) if group is not None)
        returns = sum(visited.values()) - len(visited)
        for grain in _GRAINS:
            cell = cells[grain, metrics.period(grain, last.entered_at), last.is_urgent]
            cell["orders"] += 1
            if metrics.is_cancelled(last.group_id):
                cell["cancelled"] += 1
                continue
            cell["returned" if returns else "first_pass"] += 1
            cell["returns"] += returns
    for cell in cells.values():
        passed = cell["first_pass"] + cell["returned"]
        cell["first_pass_rate"] = Decimal(cell["first_pass"]) / passed if passed else None
    return dict(cells)


def bottlenecks(metrics: Metrics) -> Rows:
    """(grain, period_start, group, is_urgent) -> measures with the rank."""
    durations = metrics.stage_durations()
    found: Rows = {}
    for (grain, start, group_id, is_urgent), row in durations.items():
        peers = [
            (other["total_working_seconds"], other["total_elapsed_seconds"])
            for (its_grain, its_start, _, its_urgency), other in durations.items()
            if (its_grain, its_start, its_urgency) == (grain, start, is_urgent)
        ]
        own = (row["total_working_seconds"], row["total_elapsed_seconds"])
        copied = ("orders", "visits", "total_working_seconds", "total_elapsed_seconds", "median_working_seconds")
        found[grain, start, group_id, is_urgent] = {
            "status_group_name": metrics.project.groups.get(group_id),
            "bottleneck_rank": 1 + sum(peer > own for peer in peers),
            **{name: row[name] for name in copied},
            "working_share": _share(own[0], sum((peer[0] for peer in peers), Decimal(0))),
            "elapsed_share": _share(own[1], sum((peer[1] for peer in peers), Decimal(0))),
            "p90_working_seconds": row["p90_working_seconds"],
            "sla_over": row["sla_over"],
        }
    return found


def ageing(metrics: Metrics, now: datetime) -> Rows:
    """(group, is_urgent, working bucket, age bucket) -> counts, of orders that have events."""
    cells: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for order_id, history in metrics.histories.items():
        deleted = metrics.project.orders.get(order_id, {}).get("is_deleted")
        if deleted or _ends(metrics, history[-1]):
            continue
        row = metrics.current(order_id, now)
        age = seconds(now - row["started_at"])
        working = _bucket(row["stage_working_seconds"], [Decimal(3600 * bound) for bound in WORKING_HOURS])
        key = (row["last_status_group_id"] or "", row["is_urgent"], working)
        cells[(*key, _bucket(age, [Decimal(86_400 * bound) for bound in AGE_DAYS]))].append(row)
    found: Rows = {}
    for (group_id, is_urgent, working, age_bucket), rows in cells.items():
        worked = [row["stage_working_seconds"] for row in rows if row["stage_working_seconds"] is not None]
        found[group_id, is_urgent, working, age_bucket] = {
            "status_group_name": metrics.project.groups.get(group_id),
            "working_bucket_label": _label(working, WORKING_HOURS, "h"),
            "age_bucket_label": _label(age_bucket, AGE_DAYS, "d"),
            "orders": len(rows),
            **{f"sla_{state}": sum(row["sla_state"] == state for row in rows) for state in ("ok", "near", "over")},
            "max_stage_working_seconds": max(worked, default=None),
            "oldest_begun_at": min(row["started_at"] for row in rows),
        }
    return found


def _bucket(value: Decimal | None, bounds: list[Decimal]) -> int:
    return 0 if value is None else 1 + sum(value >= bound for bound in bounds)


def _label(number: int, bounds: tuple[int, ...], unit: str) -> str:
    if number == 0:
        return "unknown"
    if number == 1:
        return f"< {bounds[0]} {unit}"
    return f">= {bounds[-1]} {unit}" if number > len(bounds) else f"{bounds[number - 2]}-{bounds[number - 1]} {unit}"


def _ends(metrics: Metrics, interval: Interval) -> bool:
    return interval.is_closing or metrics.is_cancelled(interval.group_id)


def _spread(kind: str, spans: Iterable[timedelta | None]) -> Row:
    ordered = sorted(span for span in spans if span is not None)
    return {
        f"median_{kind}_seconds": percentile(ordered, Decimal("0.5")) if ordered else None,
        f"p90_{kind}_seconds": percentile(ordered, Decimal("0.9")) if ordered else None,
    }


def _sum(spans: Iterable[timedelta | None]) -> timedelta:
    return sum((span for span in spans if span is not None), timedelta(0))


def _share(part: Decimal, whole: Decimal) -> Decimal | None:
    return part / whole if whole else None
