"""One database and one running ingest API for all tests of a module that do not disturb it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from ingest_process import SETTINGS, Ingest, IngestProcess, apply

from database import migrate
from database.embedded import EmbeddedServer
from database.encryption import new_key
from database.environment import Environment


@pytest.fixture(scope="module")
def ingest(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Ingest]:
    folder = tmp_path_factory.mktemp("ingest")
    name = f"ingest_{abs(hash(request.node.nodeid))}"
    server.create_database(name)
    migrate.upgrade(server.url(name))
    environment = Environment(DATABASE_URL=server.url(name), home=folder, master_key=new_key())  # type: ignore[call-arg]
    apply(environment, SETTINGS)
    process = IngestProcess(folder, server.url(name), folder, environment.master_key or "")
    process.start()
    try:
        with httpx.Client(base_url=process.url, timeout=30) as client:
            yield Ingest(process, environment, client)
    finally:
        process.stop()
        server.drop_database(name)
