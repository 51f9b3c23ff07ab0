"""Fixtures that all tests share: one embedded server for the session, a fresh migrated database for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from database import migrate
from database.embedded import EmbeddedServer
from database.encryption import Keyring, new_key
from database.environment import Environment

pytest_plugins = ["tests.support.child_coverage", "tests.support.distribution"]

# As Hypothesis does by itself where CI is set: timing decides no test.
hypothesis.settings.register_profile(
    "crm-elt", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("crm-elt")

_TEMPLATE = "template_migrated"
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test that runs a command sets up logging for the whole process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """Dagster gives SIGTERM the handler of SIGINT, which a shell's background job ignores, as do its children then."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if signal.getsignal(signal.SIGTERM) is not before:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    # Not in pytest's own folder: another pytest of the same user closes that to the user that the server runs as.
    home = Path(tempfile.mkdtemp(prefix="crm-elt-tests-"))
    server = EmbeddedServer(home)
    server.start()
    try:
        server.create_database(_TEMPLATE)
        migrate.upgrade(server.url(_TEMPLATE))
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def database_url(server: EmbeddedServer) -> Iterator[str]:
    """A database of its own, migrated to head, cloned from a template in a fraction of a second."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    server.create_database(name, template=_TEMPLATE)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The environment of a stack on `database_url`, set for this process and its children too."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("CRM_ELT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CRM_ELT_MASTER_KEY", new_key())
    (tmp_path / "home").mkdir()
    return Environment()


@pytest.fixture
def keyring(environment: Environment) -> Keyring:
    return Keyring.load(environment)
