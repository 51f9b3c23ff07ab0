"""The demo's key figures against the plain-Python calculation."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from database.connection import connect
from database.repositories import figures
from tests.integration.dbt.conftest import Warehouse
from tests.oracle import generated, inputs
from tests.oracle.metrics import Metrics, Stage, percentile, seconds

pytestmark = pytest.mark.anyio

_CENT = Decimal("0.005")


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=3, orders_per_project=25)
    assert warehouse.build().failed == ()
    return warehouse


@pytest.fixture(scope="module")
def expected(warehouse: Warehouse) -> dict[str, Metrics]:
    return {name: Metrics(project) for name, project in inputs.read(warehouse.url).items()}


async def test_orders_per_stage(warehouse: Warehouse, expected: dict[str, Metrics]) -> None:
    async with await connect(warehouse.url) as connection:
        rows = await figures.orders_per_stage(connection)
    found = {
        (row["project_id"], row["stage_id"]): (row["open_orders"], row["closed_orders"], row["urgent"]) for row in rows
    }
    counts: dict[tuple[str, str | None], list[int]] = {}
    for project, metrics in expected.items():
        for history in metrics.histories.values():
            count = counts.setdefault((project, history[-1].group_id), [0, 0, 0])
            count[history[-1].is_closing] += 1
            count[2] += history[-1].is_urgent and not history[-1].is_closing
    assert found == {key: tuple(count) for key, count in counts.items()}


async def test_working_time_and_sla_per_stage(warehouse: Warehouse, expected: dict[str, Metrics]) -> None:
    async with await connect(warehouse.url) as connection:
        times = await figures.working_time_per_stage(connection)
        shares = await figures.sla_per_stage(connection)
    assert len(times) > 20
    for row in times:
        stages = _left(expected[row["project_id"]], row["stage_id"])
        assert (row["orders"], row["visits"]) == (len(stages), sum(stage.visits for stage in stages))
        values = sorted(stage.working for stage in stages)
        mean = sum((seconds(value) for value in values), Decimal(0)) / len(values)
        assert abs(row["avg_hours"] - mean / 3600) <= _CENT
        assert abs(row["median_hours"] - percentile(values, Decimal("0.5")) / 3600) <= _CENT
        assert abs(row["p90_hours"] - percentile(values, Decimal("0.9")) / 3600) <= _CENT
    for row in shares:
        states = [stage.state for stage in _left(expected[row["project_id"]], row["stage_id"]) if stage.state]
        assert [row[state] for state in ("ok", "near", "over")] == [
            states.count(state) for state in ("ok", "near", "over")
        ]
        assert abs(row["ok_percent"] - Decimal(100) * states.count("ok") / len(states)) <= Decimal("0.05")


async def test_cycle_times(warehouse: Warehouse, expected: dict[str, Metrics]) -> None:
    async with await connect(warehouse.url) as connection:
        rows = await figures.cycle_times(connection)
    assert rows
    for row in rows:
        cycles = [each for each in expected[row["project_id"]].cycles.values() if each.rule_id == row["cycle"]]
        finished = [cycle.duration for cycle in cycles if cycle.duration is not None]
        assert (row["finished"], row["under_way"]) == (len(finished), len(cycles) - len(finished))
        if finished:
            assert abs(row["median_hours"] - percentile(sorted(finished), Decimal("0.5")) / 3600) <= _CENT


async def test_integration_statistics_has_a_row_per_project(warehouse: Warehouse, expected: dict[str, Metrics]) -> None:
    async with await connect(warehouse.url) as connection:
        rows = await figures.integration_statistics(connection)
    assert [row["project_id"] for row in rows] == sorted(expected)


def _left(metrics: Metrics, group_id: str) -> list[Stage]:
    return [stage for stage in metrics.stages.values() if stage.group_id == group_id and stage.last_left_at is not None]
