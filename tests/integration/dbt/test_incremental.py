"""An incremental build gives what a full refresh would: random changes of random projects, compared table by table.

Each scenario is a database with a seed. After each round of changes it is built incrementally, and a copy of it from
nothing; then every row of every mart and intermediate table must be the same. `make test` has one short scenario,
`make properties` more and longer ones; `CRM_ELT_INCREMENTAL_SEEDS=17,23` runs those alone.
"""

from __future__ import annotations

import os
import pprint
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from database.embedded import EmbeddedServer
from sync.build import BuildResult, build
from tests.integration.dbt.conftest import Warehouse
from tests.oracle import random_changes, random_projects
from tests.support import marts_snapshot

DATABASES = int(os.environ.get("CRM_ELT_PROPERTIES", "0"))
_GIVEN_SEEDS = os.environ.get("CRM_ELT_INCREMENTAL_SEEDS", "")
SEEDS = [int(seed) for seed in _GIVEN_SEEDS.split(",")] if _GIVEN_SEEDS else [1, *range(100, 100 + DATABASES)]
PROJECTS = 60 if DATABASES or _GIVEN_SEEDS else 30
ROUNDS = 6 if DATABASES or _GIVEN_SEEDS else 2

PARTS = (
    "agg_stage_durations", "agg_status_transitions", "agg_variants", "fct_order_stages", "fct_order_status_intervals",
    "int_flow__moves+", "int_flow__variants", "int_orders__latest", "int_orders__outcomes", "int_orders__paths",
    "int_orders__traits", "int_statuses__overlaid", "order_cycle_metrics+", "rpt_success",
)  # fmt: skip
"""What a build of a selection builds: tables then lag behind others in every way."""


@dataclass
class Scenario:
    warehouse: Warehouse
    server: EmbeddedServer
    chance: random.Random
    log: random_changes.Log
    """Changes of each project since the last comparison."""

    def build(self, **options: Any) -> None:
        result = self.warehouse.build(**options)
        assert [str(failure) for failure in result.failed] == []

    def change(self) -> None:
        with psycopg.connect(self.warehouse.url) as connection:
            projects = [
                project
                for (project,) in connection.execute(
                    "select project_id from config.projects union select project_id from core.order_status_events"
                    " order by 1"
                )
            ]
            for project, names in random_changes.change(connection, self.chance, projects).items():
                self.log.setdefault(project, []).extend(names)

    def fold(self) -> None:
        """As the relay does from time to time."""
        self.warehouse.rows(f"select intermediate.fold_orders({self.chance.choice([0, 7, 1000])})")

    def rebuild_one_for_other_code(self) -> None:
        models = self.warehouse.rows("select model from sync.build_models where live_query is null order by 1")
        model = self.chance.choice(models)["model"]
        self.warehouse.execute(f"update sync.build_models set code_hash = 'other' where model = '{model}'")

    def compare(self) -> None:
        """With a full refresh of a copy."""
        name = psycopg.conninfo.conninfo_to_dict(self.warehouse.url)["dbname"]
        copy = f"{name}_copy"
        self.server.create_database(copy, template=str(name))
        try:
            refreshed = Warehouse(self.server.url(copy), self.warehouse.folder / "copy")
            assert refreshed.build(full_refresh=True).failed == ()
            at = datetime.now(UTC)
            found = marts_snapshot.take(self.warehouse.url, at).differences(marts_snapshot.take(refreshed.url, at))
        finally:
            self.server.drop_database(copy)
        changes = {project: names for project, names in self.log.items() if project in str(found)}
        assert not found, pprint.pformat([found, changes], width=150)
        self.log.clear()

    def current_orders(self, at: datetime) -> dict[tuple[str, str], str]:
        """Of projects whose orders alone have changed."""
        return {
            key: row
            for key, row in marts_snapshot.current_orders(self.warehouse.url, at).items()
            if not any(random_changes.is_settings(name) for name in self.log.get(key[0], ()))
            and not key[0].startswith("added-")
        }

    def calendars(self) -> dict[str, Any]:
        rows = self.warehouse.rows("select * from intermediate.int_calendars__spans")
        return {row.pop("project_id"): row for row in rows}


@pytest.fixture
def without_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt builds models only: what is in them is compared here."""
    monkeypatch.setenv("DBT_EXCLUDE_RESOURCE_TYPES", "test unit_test")
    monkeypatch.setattr(Warehouse, "build", _build_models)


def _build_models(warehouse: Warehouse, **options: Any) -> BuildResult:
    return build(warehouse.url, target_folder=warehouse.folder, unit_tests=True, **options)


@pytest.mark.parametrize("seed", SEEDS)
def test_incremental_builds_give_what_a_full_refresh_would(
    seed: int, make_warehouse: Callable[[], Warehouse], server: EmbeddedServer, without_tests: None
) -> None:
    scenario = Scenario(make_warehouse(), server, random.Random(seed), {})
    random_projects.fill(scenario.warehouse.url, range(seed, seed + PROJECTS))
    scenario.build()
    for number in range(ROUNDS):
        scenario.change()
        scenario.fold()
        if number % 2:
            if scenario.chance.random() < 0.5:
                scenario.rebuild_one_for_other_code()
            scenario.build(select=scenario.chance.choice(PARTS))
            scenario.change()
        at, reach = datetime.now(UTC), scenario.calendars()
        before = scenario.current_orders(at)
        scenario.build()
        after = scenario.current_orders(at)
        # Events beyond the calendars' reach have no working time until a build has extended them.
        moved = {project for project, days in scenario.calendars().items() if days != reach.get(project)}
        differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert [
            (key, before.get(key), after.get(key), scenario.log.get(key[0]))
            for key in sorted(differing)
            if key[0] not in moved
        ] == [], "orders_current knew it otherwise before the build"
        scenario.compare()
    scenario.change()
    scenario.warehouse.execute(
        "truncate core.order_items",
        "alter table marts.order_cycle_metrics add constraint broken check (false) not valid",
        "drop table marts.agg_stage_durations cascade",
    )
    broken = scenario.warehouse.build()
    assert [failure.name for failure in broken.failed] == ["order_cycle_metrics"]
    assert broken.skipped > 0
    scenario.warehouse.execute("alter table marts.order_cycle_metrics drop constraint broken")
    scenario.build()
    scenario.compare()
    rows = _versions(scenario.warehouse)
    scenario.build()
    assert _versions(scenario.warehouse) == rows, "a build with nothing new has written rows"
    scenario.warehouse.execute("drop schema marts, intermediate cascade")  # the disk is finite


def _versions(warehouse: Warehouse) -> dict[str, Any]:
    """Of each table, something that changes when any of its rows is written."""
    tables = warehouse.rows(
        "select format('%s.%s', relnamespace::regnamespace, relname) as name from pg_class where relkind = 'r' "
        "and relnamespace::regnamespace::text in ('marts', 'intermediate')"
    )
    return {
        table["name"]: warehouse.rows(
            f"select count(*), sum(cast(cast(xmin as text) as bigint)) as written from {table['name']}"
        )
        for table in tables
    }
