"""Dagster's tests write into a folder of their own, never into the home of whoever runs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from database.connection import connect
from database.environment import Environment


@pytest.fixture(autouse=True)
def _no_dagster_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def database(environment: Environment) -> Any:
    """Executes SQL on the test's database."""

    def execute(statement: str, parameters: Sequence[Any] = ()) -> None:
        async def call() -> None:
            assert environment.database_url is not None
            async with await connect(environment.database_url) as connection:
                await connection.execute(statement, parameters)

        asyncio.run(call())

    return execute


@pytest.fixture
def add_project(database: Any) -> Any:
    def add(project_id: str, *, crm: str = "keycrm", is_enabled: bool = True, **sync: Any) -> None:
        database(
            """
            insert into config.projects (project_id, name, crm, timezone, is_enabled, sync)
            values (%s, 'A shop', %s, 'Europe/Kyiv', %s, %s)
            """,
            [project_id, crm, is_enabled, json.dumps(sync)],
        )

    return add


@pytest.fixture
def beat(database: Any) -> Any:
    """Lets the relay's last heartbeat be so many seconds ago."""
    return lambda seconds_ago: database(
        "insert into sync.heartbeats values ('relay', 'a', clock_timestamp() - make_interval(secs => %s))",
        [seconds_ago],
    )
