"""The SQL functions of schema marts: the models' figures, for bi_reader; null where it is not known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.integration.dbt.conftest import Warehouse
from tests.oracle import generated, inputs
from tests.oracle.metrics import Metrics, seconds

FUNCTIONS = {"working_seconds", "add_working_seconds", "sla_state"}


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """Random projects, and two to reckon with: `shop` works 9 to 18 UTC on weekdays, its group `never` not at all, and
    `always` has no calendar.
    """
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=4, orders_per_project=40)
    warehouse.execute(
        "insert into config.projects (project_id, name, crm, timezone, near_threshold) values "
        "('shop', 'Shop', 'keycrm', 'UTC', 0.8), ('always', 'Always', 'keycrm', 'UTC', 0.8)",
        "insert into config.calendars values ('shop', ''), ('shop', 'never')",
        "insert into config.calendar_windows select 'shop', '', day, '09:00', '18:00' from generate_series(1, 5) day",
        "insert into config.sla_rules values ('shop', 'normal', '1', 1000), ('shop', 'urgent', '1', 100), "
        "('shop', 'vip', '2', 5), ('shop', 'normal', '2', 50)",
    )
    assert warehouse.build().failed == ()
    return warehouse


@pytest.fixture(scope="module")
def bi_reader(warehouse: Warehouse) -> Warehouse:
    """The same database, as a BI tool logs in to it."""
    warehouse.execute(
        "do $$ begin create role bi_functions login password 'bi' in role bi_reader; "
        "exception when duplicate_object then null; end $$"
    )
    parts = psycopg.conninfo.conninfo_to_dict(warehouse.url) | {"user": "bi_functions", "password": "bi"}
    return replace(warehouse, url=psycopg.conninfo.make_conninfo("", **parts))


def value(warehouse: Warehouse, expression: str) -> Any:
    (row,) = warehouse.rows(f"select {expression} as value")
    return row["value"]


def test_the_working_time_of_every_interval(warehouse: Warehouse, bi_reader: Warehouse) -> None:
    (row,) = bi_reader.rows(
        "select count(*) as all_of_them, count(*) filter (where working_seconds is distinct from "
        "marts.working_seconds(project_id, status_group_id, entered_at, left_at)) as different "
        "from marts.fct_order_status_intervals where not is_closing"
    )
    assert row["all_of_them"] > 1000
    assert row["different"] == 0


def test_the_state_of_every_stage(warehouse: Warehouse, bi_reader: Warehouse) -> None:
    rows = warehouse.rows(
        "select stage.sla_state, marts.sla_state(stage.project_id, stage.status_group_id, stage.working_seconds, "
        "stage.is_urgent, own.sla_profile) as state from marts.fct_order_stages as stage "
        "left join config.order_overrides as own using (project_id, order_id) where stage.sla_limit_seconds is not null"
    )
    assert {row["sla_state"] for row in rows} == {"ok", "near", "over"}
    assert [row for row in rows if row["sla_state"] != row["state"]] == []
    # And where no override names a grid, without a look at the settings.
    assert value(bi_reader, "marts.sla_state('p0', '1', 1)") == value(warehouse, "marts.sla_state('p0', '1', 1)")


def test_every_due_time(warehouse: Warehouse, bi_reader: Warehouse) -> None:
    """From the visit in which the limit is reached, with what the visits before it left of the limit."""
    orders = {(row["project_id"], row["order_id"]): row for row in warehouse.rows("select * from marts.orders_current")}
    metrics = {name: Metrics(project) for name, project in inputs.read(warehouse.url).items()}
    calls = []
    for (project, order_id), row in orders.items():
        stage = metrics[project].stages.get((order_id, row["last_status_group_id"] or ""))
        if stage is None or row["sla_limit_seconds"] is None:
            continue
        left = timedelta(seconds=row["sla_limit_seconds"])
        for interval in stage.intervals:
            if interval.working is None or (not interval.is_closing and interval.working >= left):
                calls.append((project, stage.group_id, interval.entered_at, seconds(left), row["sla_due_at"]))
                break
            left -= interval.working
    assert len(calls) > 60
    assert any(due is None for *_, due in calls)  # a group that is always closed
    with psycopg.connect(bi_reader.url) as connection:
        for *call, due in calls:
            found = connection.execute("select marts.add_working_seconds(%s, %s, %s, %s)", call).fetchone()
            assert found == (due,), call


def test_the_two_are_each_others_inverse(warehouse: Warehouse) -> None:
    rows = warehouse.rows(
        "select seconds, "
        "marts.working_seconds(project_id, grp, at, marts.add_working_seconds(project_id, grp, at, seconds)) as again "
        "from marts.dim_projects, unnest(array['1', '2', '3', null]) as grp,"
        " unnest(array[0, 0.000001, 1, 3600.5, 1000000]) as seconds,"
        " generate_series(timestamptz '2025-03-01 00:00+00', '2025-11-30 00:00+00', '61 hours') as at"
    )
    assert len(rows) > 10_000
    assert [row for row in rows if row["again"] not in (None, row["seconds"])] == []
    assert sum(row["again"] is None for row in rows) < len(rows) / 3  # groups that are always closed


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("working_seconds('shop', '1', '2025-06-02 10:00Z', '2025-06-03 10:00Z')", 9 * 3600),
        ("working_seconds('shop', null, '2025-06-02 10:00Z', '2025-06-03 10:00Z')", 9 * 3600),
        ("working_seconds('shop', 'never', '2025-06-02 10:00Z', '2025-06-03 10:00Z')", 0),
        # The other way round: how long ago.
        ("working_seconds('shop', '1', '2025-06-03 10:00Z', '2025-06-02 10:00Z')", -9 * 3600),
        ("working_seconds('always', '1', '1900-01-01 00:00Z', '1900-01-02 00:00:00.000001Z')", Decimal("86400.000001")),
        ("working_seconds('nowhere', '1', '2025-06-02 10:00Z', '2025-06-03 10:00Z')", None),
        ("working_seconds(null, '1', '2025-06-02 10:00Z', '2025-06-03 10:00Z')", None),
        ("working_seconds('shop', '1', null, '2025-06-03 10:00Z')", None),
        ("working_seconds('shop', '1', '2025-06-02 10:00Z', null)", None),
        ("working_seconds('always', '1', '2025-06-02 10:00Z', null)", None),
        # Outside the calendar's span, even if nothing could have been worked there.
        ("working_seconds('shop', '1', '1900-01-01 00:00Z', '2025-06-03 10:00Z')", None),
        ("working_seconds('shop', 'never', '2025-06-02 10:00Z', '2999-01-01 00:00Z')", None),
        ("working_seconds('shop', '1', '-infinity', 'infinity')", None),
        ("working_seconds('always', '1', '2025-06-02 10:00Z', 'infinity')", None),
        ("add_working_seconds('shop', '1', '2025-06-06 17:00Z', 2 * 3600)", datetime(2025, 6, 9, 10, tzinfo=UTC)),
        # The earliest such instant: the evening, not the next morning.
        ("add_working_seconds('shop', '1', '2025-06-06 17:00Z', 3600)", datetime(2025, 6, 6, 18, tzinfo=UTC)),
        ("add_working_seconds('shop', null, '2025-06-08 00:00Z', 0.5)", datetime(2025, 6, 9, 9, 0, 0, 500_000, UTC)),
        ("add_working_seconds('shop', '1', '2025-06-08 00:00Z', 0)", datetime(2025, 6, 8, tzinfo=UTC)),
        ("add_working_seconds('shop', 'never', '2025-06-08 00:00Z', 0)", datetime(2025, 6, 8, tzinfo=UTC)),
        ("add_working_seconds('always', '1', '2025-06-08 00:00Z', 1.000001)", datetime(2025, 6, 8, 0, 0, 1, 1, UTC)),
        ("add_working_seconds('shop', 'never', '2025-06-08 00:00Z', 1)", None),
        ("add_working_seconds('shop', '1', '2025-06-08 00:00Z', -1)", None),
        ("add_working_seconds('shop', '1', '2025-06-08 00:00Z', 1e30)", None),
        ("add_working_seconds('always', '1', '2025-06-08 00:00Z', 'NaN')", None),
        ("add_working_seconds('shop', '1', '2025-06-08 00:00Z', 1000000000)", None),
        ("add_working_seconds('shop', '1', '2025-06-08 00:00Z', null)", None),
        ("add_working_seconds('shop', '1', null, 1)", None),
        ("add_working_seconds('shop', '1', 'infinity', 1)", None),
        ("add_working_seconds('shop', '1', '1900-01-01 00:00Z', 1)", None),
        ("add_working_seconds('nowhere', '1', '2025-06-08 00:00Z', 1)", None),
        ("sla_state('shop', '1', 799.999999)", "ok"),
        ("sla_state('shop', '1', 800)", "near"),
        ("sla_state('shop', '1', 1000)", "near"),
        ("sla_state('shop', '1', 1000.000001)", "over"),
        ("sla_state('shop', '1', 80, true)", "near"),
        ("sla_state('shop', '2', 45, true)", "near"),  # urgent has no limit for the group: the normal one
        ("sla_state('shop', '2', 45, true, 'vip')", "over"),
        ("sla_state('shop', '2', 45, null, 'vip')", "over"),
        ("sla_state('shop', '1', 45, false, 'vip')", "ok"),
        ("sla_state('shop', '2', 45, null)", None),
        ("sla_state('shop', '3', 1)", None),
        ("sla_state('shop', null, 1)", None),
        ("sla_state('shop', '1', null)", None),
        ("sla_state('nowhere', '1', 1)", None),
    ],
)  # fmt: skip
def test_a_call_gives_its_result(warehouse: Warehouse, call: str, result: Any) -> None:
    assert value(warehouse, f"marts.{call}") == result


@pytest.mark.parametrize("call", ["working_seconds('shop', '1', 'soon', now())", "working_seconds('shop', '1', now())"])
def test_what_is_no_instant_is_refused(warehouse: Warehouse, call: str) -> None:
    with pytest.raises((errors.InvalidDatetimeFormat, errors.UndefinedFunction)):
        value(warehouse, f"marts.{call}")


def test_they_are_stable_parallel_safe_and_described(warehouse: Warehouse) -> None:
    rows = warehouse.rows(
        "select proname, provolatile::text, proparallel::text, prosecdef, proconfig, "
        "obj_description(oid) as description from pg_proc where pronamespace = 'marts'::regnamespace"
    )
    assert {row["proname"] for row in rows} == FUNCTIONS
    for row in rows:
        assert (row["provolatile"], row["proparallel"], row["prosecdef"]) == ("s", "s", True), row
        assert row["proconfig"] == ["search_path=pg_catalog, pg_temp"]
        assert len(row["description"]) > 100


def test_they_run_in_parallel_workers(warehouse: Warehouse, bi_reader: Warehouse) -> None:
    with psycopg.connect(bi_reader.url) as connection:
        connection.execute("set debug_parallel_query = on")
        query = "select sum(marts.working_seconds(project_id, status_group_id, entered_at, left_at)) as total from {}"
        plan = connection.execute(f"explain {query.format('marts.fct_order_status_intervals')}".encode()).fetchall()
        assert any("Gather" in line for (line,) in plan)
        assert connection.execute(query.format("marts.fct_order_status_intervals").encode()).fetchone() != (None,)


def test_only_bi_reader_and_the_owner_may_call_them(warehouse: Warehouse) -> None:
    warehouse.execute(
        "do $$ begin create role nobody_functions login password 'none'; "
        "exception when duplicate_object then null; end $$",
        "grant usage on schema marts to nobody_functions",
    )
    parts = psycopg.conninfo.conninfo_to_dict(warehouse.url) | {"user": "nobody_functions", "password": "none"}
    with (
        psycopg.connect(psycopg.conninfo.make_conninfo("", **parts)) as connection,
        pytest.raises(errors.InsufficientPrivilege, match="permission denied for function"),
    ):
        connection.execute("select marts.working_seconds('p0', '1', now(), now())")
    warehouse.execute("revoke usage on schema marts from nobody_functions")


def test_a_callers_search_path_changes_nothing(warehouse: Warehouse, bi_reader: Warehouse) -> None:
    """Operators of the caller's own must not run with the rights of the function's owner."""
    warehouse.execute("grant temporary on database " + warehouse.url.rpartition("/")[2] + " to bi_reader")
    call = "select marts.working_seconds('p0', '1', '2025-06-02 00:00+00', '2025-06-09 00:00+00')"
    with psycopg.connect(bi_reader.url) as connection:
        before = connection.execute(call.encode()).fetchone()
        connection.execute(
            "create function pg_temp.never(text, text) returns boolean language sql as 'select false'",
        )
        connection.execute("create operator pg_temp.= (leftarg = text, rightarg = text, function = pg_temp.never)")
        connection.execute("set search_path = pg_temp, pg_catalog")
        assert connection.execute(call.encode()).fetchone() == before


def test_a_build_replaces_a_function_whose_arguments_changed(warehouse: Warehouse) -> None:
    warehouse.execute(
        "create function marts.working_seconds(project text, hours integer) returns integer language sql as 'select 1'"
    )
    before = warehouse.rows("select oid::bigint from pg_proc where proname = 'add_working_seconds'")
    assert warehouse.build(select="working_seconds add_working_seconds sla_state").failed == ()
    arguments = warehouse.rows(
        "select pg_get_function_identity_arguments(oid) as arguments from pg_proc where proname = 'working_seconds'"
    )
    assert [row["arguments"] for row in arguments] == [
        "project text, status_group text, from_at timestamp with time zone, to_at timestamp with time zone"
    ]
    # One that stayed is the same one still: no caller ever found it missing.
    assert warehouse.rows("select oid::bigint from pg_proc where proname = 'add_working_seconds'") == before


def test_they_go_with_the_marts(warehouse: Warehouse) -> None:
    """They live in schema marts; a build after it was dropped makes them anew."""
    warehouse.execute("drop schema marts cascade", "create schema marts", "grant usage on schema marts to bi_reader")
    assert warehouse.rows("select 1 from pg_proc where proname = 'working_seconds'") == []
    assert warehouse.build(select="working_seconds add_working_seconds sla_state").failed == ()
    assert value(warehouse, "marts.working_seconds('always', null, '2025-06-02', '2025-06-03')") == 86400
