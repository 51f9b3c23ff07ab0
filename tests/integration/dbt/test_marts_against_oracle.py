"""Every mart of seeded random projects, row by row, against the plain-Python calculation of tests/oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest

from tests.integration.dbt.conftest import Warehouse
from tests.oracle import generated, inputs
from tests.oracle.expected import MARTS, Rows, differences, expected_rows, in_short, row_differences
from tests.oracle.metrics import Metrics


@dataclass(frozen=True)
class Built:
    warehouse: Warehouse
    metrics: dict[str, Metrics]

    def check(self, mart: str) -> Rows:
        """Compare a whole mart; returns what was expected of it."""
        expected = expected_rows(MARTS[mart], self.metrics)
        rows = self.warehouse.rows(f"select * from marts.{mart}")
        assert in_short(differences(MARTS[mart], rows, expected)) == {}
        return expected


@pytest.fixture(scope="module")
def built(make_warehouse: Callable[[], Warehouse]) -> Built:
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=20251026, orders_per_project=60)
    result = warehouse.build()
    assert [str(failure) for failure in result.failed] == []
    assert [str(warning) for warning in result.warnings] == []
    return Built(warehouse, {name: Metrics(project) for name, project in inputs.read(warehouse.url).items()})


def test_intervals(built: Built) -> None:
    assert len(built.check("fct_order_status_intervals")) > 1500


def test_stages(built: Built) -> None:
    expected = built.check("fct_order_stages")
    assert {row["sla_state"] for row in expected.values()} == {"ok", "near", "over", None}


def test_current_orders_at_the_instant_they_are_read(built: Built) -> None:
    rows = built.warehouse.rows("select now() as read_at, * from marts.orders_current")
    now: datetime = rows[0]["read_at"]
    expected = {
        (project, order_id): metrics.current(order_id, now)
        for project, metrics in built.metrics.items()
        for order_id in metrics.histories
    }
    assert sum(row["sla_due_at"] is not None for row in expected.values()) > 40
    assert any(row["sla_due_at"] is not None and row["sla_due_at"] > now for row in expected.values())
    for row in rows:
        row.pop("read_at")
    assert in_short(row_differences(("project_id", "order_id"), rows, expected)) == {}


def test_cycles(built: Built) -> None:
    assert sum(row["ended_at"] is not None for row in built.check("order_cycle_metrics").values()) > 100


@pytest.mark.parametrize("mart", ["agg_stage_durations", "agg_status_durations", "agg_cycle_durations"])
def test_durations_by_period(built: Built, mart: str) -> None:
    built.check(mart)


def test_sla_compliance_by_period(built: Built) -> None:
    built.check("rpt_sla_compliance")


def test_cancellations_by_previous_stage(built: Built) -> None:
    assert sum(row["cancellations"] for row in built.check("rpt_cancellations").values()) > 100


def test_cancellations_by_previous_status(built: Built) -> None:
    assert sum(row["cancellations"] for row in built.check("rpt_cancellations_by_status").values()) > 100


def test_success_of_orders_not_cancelled(built: Built) -> None:
    expected = built.check("rpt_success")
    for end in ("cancelled", "on_time", "late", "without_limit"):
        assert [row for row in expected.values() if row[end]]
