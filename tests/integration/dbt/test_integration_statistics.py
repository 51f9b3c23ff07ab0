"""Sums of runs by day: whatever is summed, deleted or changed, the statistics are those of all runs there were."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from database.connection import connect
from database.repositories import run_days
from tests.integration.dbt.conftest import Warehouse

pytestmark = pytest.mark.anyio

PROJECTS = ("busy", "failing", "idle", "new")
Statistics = dict[str, dict[str, Any]]
Runs = list[dict[str, Any]]


@pytest.fixture(scope="module")
def template(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = make_warehouse()
    for project in PROJECTS:
        warehouse.execute(
            f"insert into config.projects (project_id, name, crm, timezone) values ('{project}', 'x', 'keycrm', 'UTC')"
        )
    assert warehouse.build(select="+integration_statistics").models > 0
    return warehouse


@pytest.fixture
def warehouse(template: Warehouse) -> Warehouse:
    template.execute("truncate sync.runs, sync.run_days")
    return template


def insert(warehouse: Warehouse, chance: random.Random, count: int, days: float, projects: tuple[str, ...]) -> None:
    """Runs that began at any instant of the last so many days; `failing` never succeeds, those of today may run."""
    values = []
    for _ in range(count):
        project, ago = chance.choice(projects), chance.random() * days * 86400
        kind = chance.choices(["pull", "backfill", "reread", "replay", "reconcile"], [6, 1, 2, 1, 1])[0]
        states = ["failed", "abandoned"] + (["success"] * 4 if project != "failing" else [])
        state = chance.choice([*states, "running"]) if ago < 43200 else chance.choice(states)
        took = chance.random() * min(ago, 600)
        end = "null" if state == "running" or chance.random() < 0.05 else f"now() - interval '{ago - took:.6f} s'"
        values.append(
            f"('{project}', '{kind}', 'schedule', '{state}', now() - interval '{ago:.6f} s', {end},"
            f" {chance.randrange(50)}, {chance.randrange(9)})"
        )
    warehouse.execute(
        "insert into sync.runs (project_id, kind, trigger, state, started_at, finished_at, rows_new, rows_changed)"
        f" values {', '.join(values)}"
    )


def shown(warehouse: Warehouse) -> tuple[datetime, Statistics]:
    rows = warehouse.rows("select now() as read_at, * from marts.integration_statistics")
    at = {row.pop("read_at") for row in rows}.pop()
    return at, {row.pop("project_id"): row for row in rows}


def runs(warehouse: Warehouse) -> Runs:
    return warehouse.rows("select * from sync.runs where kind not in ('replay', 'reconcile')")


def calculated(runs: Runs, now: datetime) -> Statistics:
    """From each run itself."""
    found: Statistics = {}
    for project in PROJECTS:
        own = [run for run in runs if run["project_id"] == project]
        succeeded = [run for run in own if run["state"] == "success"]
        failed = [run for run in own if run["state"] in ("failed", "abandoned")]
        recent = [run for run in own if run["started_at"] >= now - timedelta(days=30)]
        good, bad = ([run for run in recent if run in part] for part in (succeeded, failed))
        lengths = [
            (run["finished_at"] - run["started_at"]) // timedelta(microseconds=1)
            for run in good
            if run["finished_at"] is not None
        ]
        last = max((run["started_at"] for run in succeeded), default=None)
        found[project] = {
            "total_synced": sum(run["rows_new"] + run["rows_changed"] for run in own),
            "last_success_at": max((run["finished_at"] for run in succeeded if run["finished_at"]), default=None),
            "success_rate_30d": round(Decimal(len(good)) / (len(good) + len(bad)), 4) if good or bad else None,
            "failed_syncs_30d": len(bad),
            "avg_sync_seconds_30d": Decimal(sum(lengths)) / len(lengths) / 1_000_000 if lengths else None,
            "consecutive_failures": sum(last is None or run["started_at"] > last for run in failed),
        }
    return found


def assert_equal(warehouse: Warehouse, runs_there_were: Runs | None = None) -> None:
    now, found = shown(warehouse)
    expected = calculated(runs(warehouse) if runs_there_were is None else runs_there_were, now)
    for project in PROJECTS:
        for name in ("success_rate_30d", "avg_sync_seconds_30d"):
            one, other = found[project].pop(name), expected[project].pop(name)
            assert (one is None) == (other is None), (project, name)
            if one is not None:  # rounded to the column's digits, and a tie either way
                digits = Decimal("0.0001") if name == "success_rate_30d" else Decimal("0.000001")
                assert abs(one - other) <= digits / 2 + Decimal("1e-9"), (project, name)
    assert found == expected


async def sum_up(warehouse: Warehouse) -> None:
    async with await connect(warehouse.url) as connection:
        await run_days.roll_up_all(connection)


def unsummed(warehouse: Warehouse) -> int:
    [row] = warehouse.rows(
        "select count(*) as count from sync.runs where not is_summed and state <> 'running'"
        " and started_at < date_trunc('day', now(), 'UTC')"
    )
    return int(row["count"])


@pytest.mark.parametrize("seed", range(3))
async def test_sums_equal_the_direct_calculation(warehouse: Warehouse, seed: int) -> None:
    chance = random.Random(seed)
    insert(warehouse, chance, 900, 70, ("busy", "failing"))
    insert(warehouse, chance, 30, 70, ("idle",))
    assert_equal(warehouse)
    await sum_up(warehouse)
    assert unsummed(warehouse) == 0
    assert warehouse.rows("select count(*) as count from sync.run_days")[0]["count"] > 100
    assert_equal(warehouse)

    # More of days that are summed, and runs that turn out otherwise than they were summed.
    insert(warehouse, chance, 200, 70, ("busy", "failing", "idle"))
    warehouse.execute(
        "update sync.runs set state = 'success', finished_at = started_at + interval '7 s', rows_new = rows_new + 3"
        " where state = 'abandoned' and run_id % 3 = 0",
        "update sync.runs set state = 'failed' where state = 'success' and run_id % 7 = 0",
    )
    assert unsummed(warehouse) > 200
    assert_equal(warehouse)
    await sum_up(warehouse)
    assert unsummed(warehouse) == 0
    assert_equal(warehouse)

    # Retention: no total changes.
    every = runs(warehouse)
    warehouse.execute("delete from sync.runs where started_at < date_trunc('day', now() - interval '31 days', 'UTC')")
    assert len(runs(warehouse)) < len(every)
    assert_equal(warehouse, every)
    insert(warehouse, chance, 50, 1, ("busy",))
    new = [run for run in runs(warehouse) if run["run_id"] > max(run["run_id"] for run in every)]
    await sum_up(warehouse)
    assert_equal(warehouse, every + new)


async def test_a_day_with_a_run_under_way_is_read_until_that_has_ended(warehouse: Warehouse) -> None:
    warehouse.execute(
        "insert into sync.runs (project_id, kind, trigger, state, started_at, finished_at, rows_new) values"
        " ('busy', 'pull', 'schedule', 'success', now() - interval '3 days', now() - interval '3 days', 5),"
        " ('busy', 'backfill', 'cli', 'running', now() - interval '3 days', null, 7)"
    )
    await sum_up(warehouse)
    assert shown(warehouse)[1]["busy"]["total_synced"] == 12
    warehouse.execute("update sync.runs set rows_new = 11 where state = 'running'")
    assert shown(warehouse)[1]["busy"]["total_synced"] == 16
    warehouse.execute("update sync.runs set state = 'failed', finished_at = now() where state = 'running'")
    await sum_up(warehouse)
    assert unsummed(warehouse) == 0
    assert_equal(warehouse)
    assert shown(warehouse)[1]["busy"]["total_synced"] == 16


async def test_two_that_sum_up_at_once_leave_one_sum(warehouse: Warehouse) -> None:
    insert(warehouse, random.Random(9), 100, 20, ("busy",))
    async with await connect(warehouse.url) as one, await connect(warehouse.url) as two, one.transaction():
        await run_days.roll_up(one, "busy")
        assert not await run_days.roll_up(two, "busy")  # leaves it to the first
    assert_equal(warehouse)
