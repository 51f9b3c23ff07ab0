"""The marts of models/marts/flow on seeded random projects, row by row, against the plain-Python calculation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.dbt.conftest import Warehouse
from tests.oracle import flow, generated, inputs
from tests.oracle.metrics import Metrics

Row = dict[str, Any]


@dataclass(frozen=True)
class Built:
    warehouse: Warehouse
    metrics: dict[str, Metrics]


@pytest.fixture(scope="module")
def built(make_warehouse: Callable[[], Warehouse]) -> Built:
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=20261120, orders_per_project=50)
    warehouse.execute(
        # Deleted in the CRM: their history stays, the open ones are no backlog.
        "update core.orders set is_deleted = true where order_id::integer % 7 = 0",
        # Paths that several orders take: the generator's are nearly all different.
        "insert into core.order_status_events"
        " (project_id, order_id, status_id, status_changed_at, source, dedup_key, ingested_at)"
        " select p.project_id, 'same-' || n, s.status_id, t.at, 'pull', format('same-%s/%s', n, s.status_id), t.at"
        " from config.projects p, generate_series(1, 6) n,"
        " (values ('1', 0), ('6', 1), ('8', 2), ('12', 3)) s (status_id, step),"
        " lateral (select timestamptz '2025-10-20 06:00+00' + s.step * (n * interval '7 hours 1.000001 second')) t (at)"
        " where n > 2 or s.step < 2",
    )
    result = warehouse.build()
    assert [str(failure) for failure in result.failed] == []
    assert [str(warning) for warning in result.warnings] == []
    return Built(warehouse, {name: Metrics(project) for name, project in inputs.read(warehouse.url).items()})


def test_transitions(built: Built) -> None:
    expected = by_project(built, flow.transitions)
    assert any(row["orders"] > 1 for row in expected.values())
    assert any(row["orders"] < row["transitions"] for row in expected.values())
    assert any(key[1] == key[2] for key in expected)
    compare(built, "agg_status_transitions", ("project_id", "from_status_id", "to_status_id", "is_urgent"), expected)


def test_variants(built: Built) -> None:
    expected = by_project(built, flow.variants)
    assert {(key[1], key[2]) for key in expected} == {(a, b) for a in (True, False) for b in (True, False)}
    assert any(row["orders"] >= 4 and row["median_cycle_seconds"] is not None for row in expected.values())
    compare(built, "agg_variants", ("project_id", "is_urgent", "is_ended", "variant_id"), expected)


def test_flow_by_day(built: Built) -> None:
    expected = by_project(built, flow.daily_flow)
    assert any(row["backlog"] > 5 for row in expected.values())
    assert any(row["ended"] and row["exited"] > row["ended"] for row in expected.values())
    compare(built, "agg_daily_flow", ("project_id", "local_date", "status_group_id", "is_urgent"), expected)


def test_first_pass(built: Built) -> None:
    expected = by_project(built, flow.first_pass)
    for count in ("cancelled", "first_pass", "returned"):
        assert [row for row in expected.values() if row[count]]
    compare(built, "rpt_first_pass", ("project_id", "grain", "period_start", "is_urgent"), expected)


def test_bottlenecks(built: Built) -> None:
    expected = by_project(built, flow.bottlenecks)
    assert max(row["bottleneck_rank"] for row in expected.values()) > 3
    key = ("project_id", "grain", "period_start", "status_group_id", "is_urgent")
    compare(built, "rpt_bottlenecks", key, expected)


def test_ageing_at_the_instant_it_is_read(built: Built) -> None:
    rows = built.warehouse.rows("select now() as read_at, * from marts.rpt_ageing")
    now: datetime = rows[0]["read_at"]
    for row in rows:
        row.pop("read_at")
    expected = by_project(built, lambda metrics: flow.ageing(metrics, now))
    assert len({key[3] for key in expected}) > 3, "most buckets of working time"
    key = ("project_id", "status_group_id", "is_urgent", "working_bucket", "age_bucket")
    compare_rows(rows, key, expected)


def test_open_orders_of_the_last_day_are_those_of_the_live_view(built: Built) -> None:
    """Where nothing is dated later than the newest event came in, both count the same orders."""
    differences = built.warehouse.rows(
        """
        with newest as (select project_id, max(local_date) as local_date from marts.agg_daily_flow group by project_id),
        last_days as (
            select project_id, sum(backlog) as orders
            from marts.agg_daily_flow inner join newest using (project_id, local_date)
            group by project_id
        ),
        ages as (select project_id, sum(orders) as orders from marts.rpt_ageing group by project_id),
        without_events as (
            select project_id, count(*) as orders from marts.orders_current
            where started_at is null and not is_closed group by project_id
        )
        select * from ages left join last_days using (project_id) left join without_events using (project_id)
        where ages.orders <> last_days.orders + coalesce(without_events.orders, 0)
        """
    )
    assert differences == []


def by_project(built: Built, calculate: Callable[[Metrics], flow.Rows]) -> flow.Rows:
    return {(project, *cell): row for project, each in built.metrics.items() for cell, row in calculate(each).items()}


def compare(built: Built, mart: str, key: tuple[str, ...], expected: flow.Rows) -> None:
    compare_rows(built.warehouse.rows(f"select * from marts.{mart}"), key, expected)


def compare_rows(rows: list[Row], key: tuple[str, ...], expected: flow.Rows) -> None:
    """The same keys, and in each row the same columns and values: times to the microsecond, shares to four digits."""
    found = {tuple(row.pop(name) for name in key): row for row in rows}
    assert len(found) == len(rows), "the key is not unique"
    assert found.keys() == expected.keys()
    differences: dict[str, list[Any]] = defaultdict(list)
    for place, row in expected.items():
        assert found[place].keys() == row.keys()
        for name, value in row.items():
            if not same(name, found[place][name], value):
                differences[name].append((place, found[place][name], value))
    assert {name: (len(cells), cells[:3]) for name, cells in differences.items()} == {}


def same(name: str, found: Any, expected: Any) -> bool:
    if isinstance(found, Decimal) and isinstance(expected, Decimal):
        if name.endswith(("_rate", "_share")):
            return abs(found - expected) <= Decimal("0.00005")
        if name.startswith(("median_", "p90_")):
            return abs(found - expected) <= Decimal("0.000001")
    return bool(found == expected)
