"""Random projects through the whole of dbt, and random calls of the SQL functions, against plain Python.

A dbt build takes seconds however little it builds, so one example of hypothesis is a database with many projects, each
made from a seed. A difference is reported with its project's seed; `CRM_ELT_PROPERTY_SEEDS=17,23` builds those alone.
The arithmetic of calendars, which has the most corners, is tested by calls: hundreds per example, without a build.

`make test` has one database and some thousand calls, the same each time; `make properties` many of both, always new.
"""

from __future__ import annotations

import itertools
import os
import pprint
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.integration.dbt.conftest import Warehouse
from tests.integration.dbt.reading import instants, orders_at
from tests.oracle import inputs, random_projects
from tests.oracle.expected import MARTS, differences, expected_rows, in_short, row_differences
from tests.oracle.metrics import HORIZON, Metrics, seconds

DATABASES = int(os.environ.get("CRM_ELT_PROPERTIES", "0"))
"""Further databases, with seeds that hypothesis draws; `make test` has none, a build being what it costs."""
FULL = DATABASES > 0
_GIVEN_SEEDS = os.environ.get("CRM_ELT_PROPERTY_SEEDS", "")
SEEDS = [int(seed) for seed in _GIVEN_SEEDS.split(",")] if _GIVEN_SEEDS else [*range(60), 6951]
"""Of the database that every run builds."""
PROJECTS = 120
CALLS = 200
EXAMPLES = 1000 if FULL else 30

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Built:
    warehouse: Warehouse
    seeds: dict[str, int]

    @cached_property
    def metrics(self) -> dict[str, Metrics]:
        return {name: Metrics(project) for name, project in inputs.read(self.warehouse.url).items()}

    def differences(self) -> dict[str, Any]:
        """By mart, and the seeds of the projects that differ; empty if all is as calculated."""
        found: dict[str, Any] = {}
        projects: set[str] = set()
        for mart in MARTS.values():
            rows = self.warehouse.rows(f"select * from marts.{mart.name}")
            self._add(found, projects, mart.name, differences(mart, rows, expected_rows(mart, self.metrics)))
        self._add(found, projects, "orders_current", self._differences_now())
        self._add(found, projects, "functions", self._differences_of_functions())
        if found:
            found["seeds of the projects that differ"] = sorted({self.seeds[project] for project in projects})
        return found

    def _differences_now(self) -> dict[str, list[Any]]:
        rows = self.warehouse.rows("select now() as read_at, * from marts.orders_current")
        now: datetime = rows[0]["read_at"]
        for row in rows:
            del row["read_at"]
        expected = {
            (project, order_id): metrics.current(order_id, now)
            for project, metrics in self.metrics.items()
            for order_id in metrics.histories
        }
        return row_differences(("project_id", "order_id"), rows, expected)

    def _differences_of_functions(self) -> dict[str, list[Any]]:
        """The functions' figures for every interval and stage, against the models'."""
        intervals = self.warehouse.rows(
            "select project_id, order_id, interval_number, working_seconds, "
            "marts.working_seconds(project_id, status_group_id, entered_at, left_at) as by_function "
            "from marts.fct_order_status_intervals where not is_closing"
        )
        stages = self.warehouse.rows(
            "select stage.project_id, order_id, status_group_id, stage.sla_state, marts.sla_state(stage.project_id, "
            "status_group_id, working_seconds, stage.is_urgent, own.sla_profile) as by_function "
            "from marts.fct_order_stages as stage left join config.order_overrides as own using (project_id, order_id) "
            "where stage.sla_limit_seconds is not null"
        )
        found: dict[str, list[Any]] = {"working_seconds": [], "sla_state": []}
        for name, rows in (("working_seconds", intervals), ("sla_state", stages)):
            found[name] += [(tuple(row.values()),) for row in rows if row[name] != row["by_function"]]
        return {name: cells for name, cells in found.items() if cells}

    @staticmethod
    def _add(found: dict[str, Any], projects: set[str], name: str, what: dict[str, list[Any]]) -> None:
        if what:
            found[name] = in_short(what)
            for column, cells in what.items():
                keys = cells if column in ("missing", "unexpected", "twice") else [cell[0] for cell in cells]
                projects.update(key[0] for key in keys)


def _none(differences: dict[str, Any]) -> None:
    assert not differences, pprint.pformat(differences, width=150)


@pytest.fixture(scope="module")
def build(make_warehouse: Callable[[], Warehouse]) -> Callable[[list[int]], Built]:
    def build(seeds: list[int]) -> Built:
        warehouse = make_warehouse()
        named = random_projects.fill(warehouse.url, seeds)
        result = warehouse.build()
        assert [str(failure) for failure in (*result.failed, *result.warnings)] == []
        return Built(warehouse, named)

    return build


@pytest.fixture(scope="module")
def built(build: Callable[[list[int]], Built]) -> Built:
    return build(SEEDS)


def test_the_marts_of_known_seeds_are_as_calculated(built: Built) -> None:
    _none(built.differences())


def test_the_projects_are_as_varied_as_they_should_be(built: Built) -> None:
    """What never occurs is not tested."""
    if _GIVEN_SEEDS:
        pytest.skip("the seeds are somebody's choice")
    metrics = list(built.metrics.values())
    histories = [history for each in metrics for history in each.histories.values()]
    stages = [stage for each in metrics for stage in each.stages.values()]
    assert len({each.project.time_zone for each in metrics}) > 20
    assert {stage.state for stage in stages} == {"ok", "near", "over", None}
    assert any(stage.visits > 2 for stage in stages)
    assert any(history[n].is_closing for history in histories for n in range(len(history) - 1)), "no reopened order"
    assert any(interval.elapsed == timedelta(0) for history in histories for interval in history), "no same instant"
    assert any(
        before.event.event_id > after.event.event_id
        for history in histories
        for before, after in itertools.pairwise(history)
    ), "no late event"
    assert any(cycle.duration is not None for each in metrics for cycle in each.cycles.values())
    assert {override.profile for each in metrics for override in each.project.overrides.values()} >= {"vip", None}
    assert any(each.calendar(None).is_always_open for each in metrics)
    assert any(windows == [] for each in metrics for windows in each.project.exceptions.values())
    closings = {closes for each in metrics for week in each.project.calendars.values()
                for windows in week.values() for _, closes in windows}  # fmt: skip
    assert timedelta(hours=24) in closings
    assert any(closes < timedelta(hours=4) for closes in closings)


def test_the_state_by_instants_is_the_state_by_seconds_at_any_instant(built: Built) -> None:
    """Whether an order is near or over is a comparison of two instants with now(); the calculation goes by seconds."""
    orders = built.warehouse.rows(
        "select project_id, order_id, last_changed_at, sla_near_at, sla_due_at, sla_over_at "
        "from marts.orders_current where sla_limit_seconds is not null"
    )
    calls = [
        (order["project_id"], order["order_id"], at)
        for order in orders
        for at in instants(built.metrics[order["project_id"]], order)
    ]
    seen: Counter[str | None] = Counter()
    for (project, order_id, at), found in zip(calls, orders_at(built.warehouse, calls), strict=True):
        expected = built.metrics[project].current(order_id, at)
        for column in ("sla_state", "stage_working_seconds"):
            assert found[column] == expected[column], f"seed {built.seeds[project]}, order {order_id} at {at}: {column}"
        seen[found["sla_state"]] += 1
    assert _GIVEN_SEEDS or min(seen["ok"], seen["near"], seen["over"]) > 100, seen


@pytest.mark.skipif(not FULL, reason="a dbt build for each example: make properties")
@settings(
    max_examples=max(DATABASES, 1), deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(first=st.integers(1000, 10**9))
def test_the_marts_of_any_seeds_are_as_calculated(build: Callable[[list[int]], Built], first: int) -> None:
    # Without shrinking, which would cost a build per step: the seeds in the report are the smallest case there is.
    drawn = build(list(range(first, first + PROJECTS)))
    _none(drawn.differences())
    drawn.warehouse.execute("drop schema marts cascade", "drop schema intermediate cascade")  # the disk is finite


@pytest.fixture(scope="module")
def connection(built: Built) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(built.warehouse.url, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


@settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=not FULL,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    place=st.integers(0, len(SEEDS) - 1),
    group=st.sampled_from([*random_projects.GROUPS, None, "unheard-of"]),
    seed=st.integers(0, 2**64),
)
@example(place=0, group=None, seed=0)
def test_any_call_is_as_calculated(
    built: Built, connection: psycopg.Connection[Any], place: int, group: str | None, seed: int
) -> None:
    project_id = sorted(built.seeds)[place]
    metrics, chance = built.metrics[project_id], random.Random(seed)
    calendar = metrics.calendar(group)
    starts = random_projects.moments(metrics.project, calendar, chance, CALLS)
    # Mostly short spans, which Python walks quickly; ends lie on the calendar's edges too.
    ends = [_nearest(starts, start + _some_days(chance)) for start in starts]
    added = [chance.choice([0, 1, chance.randint(2, 10**6), chance.randint(2, 10**11)]) for _ in starts]
    rows = connection.execute(
        "select marts.working_seconds(%(project)s, %(group)s, from_at, to_at), "
        "marts.working_seconds(%(project)s, %(group)s, to_at, from_at), "
        "marts.add_working_seconds(%(project)s, %(group)s, from_at, added * 0.000001) "
        "from unnest(%(starts)s, %(ends)s, %(added)s::bigint[]) with ordinality as call (from_at, to_at, added, place) "
        "order by place",
        {"project": project_id, "group": group, "starts": starts, "ends": ends, "added": added},
    ).fetchall()
    end = _end_of_calendars(metrics)
    for start, stop, micros, found in zip(starts, ends, added, rows, strict=True):
        worked = seconds(calendar.worked(min(start, stop), max(start, stop))) * (1 if start <= stop else -1)
        where = f"seed {built.seeds[project_id]}, {metrics.project.time_zone}, group {group}"
        call = f"{where}: {start} to {stop}, and {micros} us from the first"
        assert found[:2] == (worked, -worked), call
        assert found[2] == _reached(metrics, group, start, micros * _MICROSECOND, end), call


def _reached(metrics: Metrics, group: str | None, start: datetime, amount: timedelta, end: datetime) -> datetime | None:
    calendar = metrics.calendar(group)
    if amount == timedelta(0):
        return start
    if calendar.is_always_open:
        return start + amount
    reached = calendar.reached(start, amount, within=end - start + timedelta(days=2))
    return reached if reached is not None and reached <= end else None


def _end_of_calendars(metrics: Metrics) -> datetime:
    last = max([datetime.now(UTC), *(event.at for event in metrics.project.events)]).astimezone(UTC)
    return last.replace(hour=0, minute=0, second=0, microsecond=0) + HORIZON


def _nearest(moments: list[datetime], moment: datetime) -> datetime:
    return min(moments, key=lambda each: abs(each - moment))


def _some_days(chance: random.Random) -> timedelta:
    return timedelta(days=chance.choice([0, 0.3, 3, 30]) * chance.uniform(-1, 1))
