"""Databases that several tests read: filled and built once per module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from database.embedded import EmbeddedServer
from sync.build import BuildResult, build


@dataclass(frozen=True)
class Warehouse:
    """A database of its own, and dbt's files for it."""

    url: str
    folder: Path

    def build(self, **options: Any) -> BuildResult:
        return build(self.url, target_folder=self.folder, **options)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, row_factory=dict_row, options="-c timezone=UTC") as connection:
            return connection.execute(query.encode()).fetchall()

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@pytest.fixture(scope="module")
def make_warehouse(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Warehouse]]:
    """Gives a fresh migrated database at each call; they last as long as the module's tests."""
    names: list[str] = []

    def make() -> Warehouse:
        name = f"{request.module.__name__.rpartition('.')[2]}_{len(names)}"
        server.create_database(name, template="template_migrated")
        names.append(name)
        return Warehouse(server.url(name), tmp_path_factory.mktemp("dbt"))

    yield make
    for name in names:
        server.drop_database(name)
