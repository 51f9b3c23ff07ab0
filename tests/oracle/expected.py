"""The rows of each mart as the plain-Python calculation has them, and how rows are compared with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.oracle.metrics import Metrics, seconds, seconds_or_none

Row = dict[str, Any]
Rows = dict[tuple[Any, ...], Row]
"""Key without the project -> the other columns."""

_ROUNDING = Decimal("0.000001")
_FLOAT8 = Decimal("1e-14")
"""PostgreSQL's percentiles are float8, with 15 digits: beyond 31 years the last one is not a microsecond."""


@dataclass(frozen=True)
class Mart:
    """`key` begins with project_id; columns of `leave_out` are names that the calculation does not carry."""

    name: str
    key: tuple[str, ...]
    rows: Callable[[Metrics], Rows]
    leave_out: tuple[str, ...] = ()


def intervals(metrics: Metrics) -> Rows:
    expected = {}
    for each in metrics.intervals:
        history = metrics.histories[each.order_id]
        before = history[each.number - 2] if each.number > 1 else None
        after = history[each.number] if each.number < len(history) else None
        expected[each.order_id, each.number] = {
            "event_id": each.event.event_id,
            "status_id": each.event.status_id,
            "status_name": metrics.status(each.event.status_id).name,
            "status_group_id": each.group_id,
            "status_group_name": metrics.project.groups.get(each.group_id or ""),
            "entered_at": each.entered_at,
            "left_at": each.left_at,
            "is_open": each.left_at is None and not each.is_closing,
            "is_closing": each.is_closing,
            "is_stage_entry": before is None or before.group_id != each.group_id,
            "elapsed_seconds": seconds_or_none(each.elapsed),
            "working_seconds": seconds_or_none(each.working),
            "is_urgent": each.is_urgent,
            "previous_status_id": before.event.status_id if before else None,
            "previous_status_group_id": before.group_id if before else None,
            "next_status_id": after.event.status_id if after else None,
            "ingested_at": each.event.ingested_at,
        }
    return expected


def stages(metrics: Metrics) -> Rows:
    return {
        (order_id, group_id): {
            "status_group_name": metrics.project.groups.get(group_id),
            "visits": stage.visits,
            "first_entered_at": min(each.entered_at for each in stage.intervals),
            "last_left_at": stage.last_left_at,
            "is_current": stage.is_current,
            "elapsed_seconds": seconds(stage.elapsed),
            "working_seconds": seconds(stage.working),
            "is_urgent": stage.is_urgent,
            "sla_limit_seconds": stage.limit,
            "sla_state": stage.state,
        }
        for (order_id, group_id), stage in metrics.stages.items()
    }


def cycles(metrics: Metrics) -> Rows:
    return {
        key: {
            "started_at": cycle.started_at,
            "ended_at": cycle.ended_at,
            "duration_seconds": seconds_or_none(cycle.duration),
            "working_seconds": seconds_or_none(cycle.working),
            "is_urgent": cycle.is_urgent,
            "sla_state": cycle.state,
            "updated_at": cycle.updated_at,
        }
        for key, cycle in metrics.cycles.items()
    }


def compliance(metrics: Metrics) -> Rows:
    expected = {}
    for cell, row in metrics.stage_durations().items():
        states = {name: row[name] for name in ("sla_ok", "sla_near", "sla_over")}
        orders = sum(states.values())
        if orders:
            rates = {
                "compliance_rate": share(row["sla_ok"] + row["sla_near"], orders),
                "over_rate": share(row["sla_over"], orders),
            }
            expected[cell] = {"orders": orders, **states, **rates}
    return expected


def cancellations(metrics: Metrics) -> Rows:
    return {
        cell: {**row, "cancellation_rate": share(row["cancellations"], row["exits"])}
        for cell, row in metrics.cancellations().items()
    }


def cancellations_by_status(metrics: Metrics) -> Rows:
    return {
        cell: {**row, "cancellation_rate": share(row["cancellations"], row["exits"])}
        for cell, row in metrics.cancellations_by_status().items()
    }


def successes(metrics: Metrics) -> Rows:
    return {
        cell: {**row, "on_time_rate": share(row["on_time"], row["on_time"] + row["late"])}
        for cell, row in metrics.successes().items()
    }


def share(part: int, whole: int) -> Decimal | None:
    return None if whole == 0 else Decimal(part) / whole


_CELL = ("project_id", "grain", "period_start")
MARTS = {
    mart.name: mart
    for mart in (
        Mart("fct_order_status_intervals", ("project_id", "order_id", "interval_number"), intervals),
        Mart("fct_order_stages", ("project_id", "order_id", "status_group_id"), stages),
        Mart("order_cycle_metrics", ("project_id", "order_id", "cycle_rule_id"), cycles),
        Mart(
            "agg_stage_durations", (*_CELL, "status_group_id", "is_urgent"), Metrics.stage_durations,
            ("status_group_name",),
        ),
        Mart("agg_status_durations", (*_CELL, "status_id", "is_urgent"), Metrics.status_durations, ("status_name",)),
        Mart("agg_cycle_durations", (*_CELL, "cycle_rule_id", "is_urgent"), Metrics.cycle_durations, ("cycle_title",)),
        Mart("rpt_sla_compliance", (*_CELL, "status_group_id", "is_urgent"), compliance, ("status_group_name",)),
        Mart(
            "rpt_cancellations", (*_CELL, "previous_status_group_id", "is_urgent"), cancellations,
            ("previous_status_group_name",),
        ),
        Mart(
            "rpt_cancellations_by_status", (*_CELL, "previous_status_id", "is_urgent"), cancellations_by_status,
            ("previous_status_name",),
        ),
        Mart("rpt_success", (*_CELL, "is_urgent"), successes),
    )
}  # fmt: skip


def expected_rows(mart: Mart, metrics: dict[str, Metrics]) -> Rows:
    """Of all projects; the project leads each key."""
    return {(project, *key): row for project, each in metrics.items() for key, row in mart.rows(each).items()}


def differences(mart: Mart, found: Iterable[Row], expected: Rows) -> dict[str, list[Any]]:
    """What of `found` (rows of the mart) is not as expected, by column; keys by `missing`, `unexpected`, `twice`."""
    return row_differences(
        mart.key, ({k: v for k, v in row.items() if k not in mart.leave_out} for row in found), expected
    )


def row_differences(key: tuple[str, ...], rows: Iterable[Row], expected: Rows) -> dict[str, list[Any]]:
    """Rates are compared to four digits, means and percentiles to the microsecond, all else exactly."""
    result: dict[str, list[Any]] = defaultdict(list)
    found: Rows = {}
    for row in rows:
        place = tuple(row[name] for name in key)
        if place in found:
            result["twice"].append(place)
        found[place] = {name: value for name, value in row.items() if name not in key}
    result["missing"] += expected.keys() - found.keys()
    result["unexpected"] += found.keys() - expected.keys()
    for place in expected.keys() & found.keys():
        for name in expected[place].keys() | found[place].keys():
            if name not in expected[place] or name not in found[place]:
                result[name].append((place, "only in one of the two"))
            elif not _same(name, found[place][name], expected[place][name]):
                result[name].append((place, found[place][name], expected[place][name]))
    return {name: cells for name, cells in result.items() if cells}


def in_short(found: dict[str, list[Any]]) -> dict[str, Any]:
    """How many differences there are in each column, and the first three."""
    return {name: (len(cells), sorted(cells, key=str)[:3]) for name, cells in found.items()}


def _same(name: str, found: Any, expected: Any) -> bool:
    if isinstance(found, Decimal) and isinstance(expected, Decimal):
        if name.endswith("_rate"):
            return abs(found - expected) <= Decimal("0.00005")
        if name.startswith(("avg_", "median_", "p90_")):
            return abs(found - expected) <= max(_ROUNDING, _FLOAT8 * abs(expected))
    return bool(found == expected)
