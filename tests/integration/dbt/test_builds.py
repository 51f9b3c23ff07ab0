"""dbt build as `crm-elt build` runs it: all tests, twice, on real PostgreSQL; who may read what; what failures say."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from database.embedded import EmbeddedServer
from sync.build import BuildError, build, dbt_environment, docs
from tests.integration.dbt.conftest import Warehouse
from tests.oracle import generated
from tests.unit.dbt.test_project_layers import MARTS

VIEWS = (
    "select oid::bigint, relname from pg_class where relkind = 'v' "
    "and relnamespace in ('marts'::regnamespace, 'staging'::regnamespace)"
)


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=1, orders_per_project=5)
    return warehouse


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    assert warehouse.build(unit_tests=True).failed == ()
    return warehouse


def test_an_empty_warehouse_builds_and_every_test_passes(make_warehouse: Callable[[], Warehouse]) -> None:
    warehouse = make_warehouse()
    seen: list[tuple[int, int, str]] = []
    result = warehouse.build(on_event=lambda done, total, name: seen.append((done, total, name)))
    assert (result.failed, result.warnings, result.skipped) == ((), (), 0)
    assert result.passed == result.tests > 40
    assert result.models > 40
    assert [done for done, _, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][0] >= result.models + result.tests
    assert {total for _, total, _ in seen} == {seen[-1][1]}


def test_a_second_build_gives_the_same_rows_and_keeps_the_live_views(built: Warehouse) -> None:
    tables = ("fct_order_status_intervals", "fct_order_stages", "order_cycle_metrics", "agg_stage_durations")
    snapshot = " union all ".join(
        f"select md5(string_agg(t::text, '' order by t::text)) from marts.{t} t" for t in tables
    )
    rows, views = built.rows(snapshot), built.rows(f"{VIEWS} order by 1")
    assert len(views) > 20
    assert built.build().failed == ()
    assert built.rows(snapshot) == rows
    # Dropped and made again, a view would have another oid: its readers would have found nothing for a moment.
    assert built.rows(f"{VIEWS} order by 1") == views


def test_a_full_refresh_gives_the_same_rows(built: Warehouse) -> None:
    query = "select md5(string_agg(t::text, '' order by t::text)) from intermediate.int_orders__latest t"
    rows = built.rows(query)
    assert built.build(full_refresh=True).failed == ()
    assert built.rows(query) == rows


def test_a_changed_rule_shows_at_the_next_build(built: Warehouse) -> None:
    built.execute("update config.sla_rules set limit_seconds = 999999 where status_group_id = '1'")
    built.execute("update config.projects set near_threshold = 0.9")
    assert built.build(select="+fct_order_stages").failed == ()
    limits = built.rows("select distinct sla_limit_seconds from marts.fct_order_stages where status_group_id = '1'")
    assert {row["sla_limit_seconds"] for row in limits} - {None} == {999999}


def test_a_bi_tool_reads_each_mart_and_nothing_else(built: Warehouse, server: EmbeddedServer) -> None:
    built.execute(
        "do $$ begin create role bi_test login password 'bi' in role bi_reader; "
        "exception when duplicate_object then null; end $$"
    )
    marts = built.rows(
        "select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind in ('r', 'v')"
    )
    assert {row["relname"] for row in marts} == MARTS
    others = built.rows(
        "select format('%I.%I', relnamespace::regnamespace, relname) as name from pg_class"
        " where relkind in ('r', 'v', 'm', 'p')"
        " and relnamespace::regnamespace::text not in ('marts', 'pg_catalog', 'information_schema', 'pg_toast')"
    )
    assert {other["name"].partition(".")[0] for other in others} >= {
        "config", "raw", "core", "sync", "vms", "staging", "intermediate",
    }  # fmt: skip
    parts = psycopg.conninfo.conninfo_to_dict(built.url) | {"user": "bi_test", "password": "bi"}
    with psycopg.connect(psycopg.conninfo.make_conninfo("", **parts), autocommit=True) as reader:
        for mart in marts:
            reader.execute(f"select * from marts.{mart['relname']} limit 1".encode())
        for refused in (
            *(f"select 1 from {other['name']}" for other in others),
            "delete from marts.dim_projects",
            "create table marts.mine (x integer)",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(refused.encode())


def test_every_column_of_a_mart_is_described_in_postgresql(built: Warehouse) -> None:
    missing = built.rows(
        "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid "
        "where c.relnamespace = 'marts'::regnamespace and c.relkind in ('r', 'v') "
        "and a.attnum > 0 and not a.attisdropped "
        "and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)"
    )
    assert missing == []


def test_each_mart_has_the_types_and_not_nulls_of_its_contract(built: Warehouse) -> None:
    manifest = json.loads((built.folder / "manifest.json").read_text())
    promised = {
        (node["name"], column["name"]): (column["data_type"], bool(column["constraints"]))
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts" and node["config"]["materialized"] != "view"
        for column in node["columns"].values()
    }
    found = built.rows(
        "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull "
        "from pg_class c join pg_attribute a on a.attrelid = c.oid "
        "where c.relnamespace = 'marts'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped"
    )
    assert len(promised) > 100
    assert {(row["relname"], row["attname"]): (row["type"], row["attnotnull"]) for row in found} == promised


def test_a_failure_names_the_model_and_says_why_in_a_sentence(make_warehouse: Callable[[], Warehouse]) -> None:
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=2, orders_per_project=1)
    warehouse.execute("update config.projects set timezone = 'Nowhere/City' where project_id = 'p0'")
    result = warehouse.build()
    assert "int_calendars__windows" in [failure.name for failure in result.failed]
    reason = next(failure.reason for failure in result.failed if failure.name == "int_calendars__windows")
    assert "Nowhere/City" in reason
    assert "\n" not in reason
    assert result.skipped > 10


def test_a_broken_row_fails_its_test_by_name(built: Warehouse) -> None:
    built.execute(
        "update marts.fct_order_status_intervals set left_at = left_at + interval '1 hour' where left_at is not null"
    )
    # The test alone: a build of the model would repair the row.
    result = built.build(select="intervals_are_contiguous")
    assert [failure.name for failure in result.failed] == ["intervals_are_contiguous"]
    assert "rows break this test." in result.failed[0].reason


def test_a_database_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        build("postgresql://nobody:secret@127.0.0.1:1/nothing", target_folder=tmp_path)
    assert str(caught.value).startswith("dbt could not run: ")
    assert "refused" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_dbt_that_cannot_run_is_one_sentence(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.build.dbt_environment", lambda url: {**dbt_environment(url), "CRM_ELT_DBT_PORT": "none"})
    with pytest.raises(BuildError) as caught:
        warehouse.build(select="dim_projects")
    assert str(caught.value).startswith("dbt could not run: ")
    assert "\n" not in str(caught.value)


def test_builds_of_one_warehouse_wait_for_each_other(warehouse: Warehouse) -> None:
    with ThreadPoolExecutor(2) as threads:
        builds = [threads.submit(warehouse.build, select="stg_config__projects") for _ in range(2)]
        assert [each.result().failed for each in builds] == [(), ()]


def test_a_selection_of_nothing_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(BuildError, match="names no model or test"):
        warehouse.build(select="no_such_model")


def test_the_docs_are_written(built: Warehouse) -> None:
    folder = docs(built.url, target_folder=built.folder)
    assert (folder / "index.html").stat().st_size > 100_000
    assert "agg_stage_durations" in (folder / "catalog.json").read_text()
