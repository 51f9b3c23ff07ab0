"""One database and one running dashboard for all tests of a module that do not disturb it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dashboard_process import Dashboard, dashboard

from database import migrate
from database.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def dash(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Dashboard]:
    name = f"dashboard_{abs(hash(request.node.nodeid))}"
    server.create_database(name)
    migrate.upgrade(server.url(name))
    try:
        with dashboard(server.url(name), tmp_path_factory.mktemp("dashboard")) as running:
            yield running
    finally:
        server.drop_database(name)
