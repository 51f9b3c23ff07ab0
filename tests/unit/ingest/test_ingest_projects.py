"""The directory of projects: fresh enough, cheap under a flood, steady while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import structlog.testing

from database.encryption import Keyring, Sealed
from database.repositories.credentials import WEBHOOK_SECRET
from database.repositories.landing import WebhookSettings
from ingest_api.projects import ProjectDirectory, SettingsUnknownError, webhook_auth

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Database:
    """What the directory reads, and how often it did."""

    def __init__(self) -> None:
        self.keyring = Keyring([b"k" * 32])
        self.settings: list[WebhookSettings] = []
        self.reads = 0
        self.is_away = False

    def put(self, project_id: str, secret: str, crm: str = "keycrm") -> None:
        sealed = self.keyring.encrypt(project_id, WEBHOOK_SECRET, secret)
        self.settings = [one for one in self.settings if one.project_id != project_id]
        self.settings.append(WebhookSettings(project_id, crm, {"auth": "token"}, {WEBHOOK_SECRET: sealed}))

    async def load(self) -> Sequence[WebhookSettings]:
        self.reads += 1
        if self.is_away:
            raise OSError("away")
        await asyncio.sleep(0)
        return list(self.settings)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(database: Database, clock: Clock) -> ProjectDirectory:
    return ProjectDirectory(database.load, database.keyring, clock)


async def test_a_known_project_is_read_once_for_many_webhooks(directory: ProjectDirectory, database: Database) -> None:
    database.put("p", "s1")
    found = await asyncio.gather(*[directory.find("p") for _ in range(50)])
    assert {project.auth.secret for project in found if project} == {"s1"}
    assert directory.peek("p") is found[0]
    assert database.reads == 1


async def test_settings_are_never_used_older_than_two_seconds(
    directory: ProjectDirectory, database: Database, clock: Clock
) -> None:
    database.put("p", "s1")
    await directory.find("p")
    database.put("p", "s2")
    clock.now += 2.1
    assert directory.peek("p") is None
    project = await directory.find("p")
    assert project is not None
    assert project.auth.secret == "s2"


async def test_under_load_the_settings_are_renewed_in_the_background(
    directory: ProjectDirectory, database: Database, clock: Clock
) -> None:
    database.put("p", "s1")
    await directory.find("p")
    database.put("p", "s2")
    clock.now += 1.5
    first = directory.peek("p")
    assert first is not None
    assert first.auth.secret == "s1"
    await directory.renew(0)
    project = await directory.find("p")
    assert project is not None
    assert (project.auth.secret, database.reads) == ("s2", 2)


async def test_a_flood_of_unknown_names_costs_one_query_per_quarter_second(
    directory: ProjectDirectory, database: Database, clock: Clock
) -> None:
    database.put("p", "s1")
    for number in range(100):
        assert await directory.find(f"unknown-{number}") is None
        clock.now += 0.01
    assert database.reads <= 6


async def test_a_new_project_is_found_though_another_was_just_unknown(
    directory: ProjectDirectory, database: Database, clock: Clock
) -> None:
    assert await directory.find("p") is None
    database.put("p", "s1")
    clock.now += 0.3
    assert await directory.find("p") is not None


async def test_a_removed_project_is_unknown(directory: ProjectDirectory, database: Database, clock: Clock) -> None:
    database.put("p", "s1")
    await directory.find("p")
    database.settings.clear()
    clock.now += 3
    assert await directory.find("p") is None


async def test_while_the_database_is_away_the_last_known_settings_stay(
    directory: ProjectDirectory, database: Database, clock: Clock
) -> None:
    database.put("p", "s1")
    await directory.find("p")
    database.is_away = True
    clock.now += 60
    for _ in range(10):
        assert await directory.find("p") is not None
    assert database.reads == 2


async def test_each_outage_is_logged_once_when_it_begins_and_once_when_it_is_over(
    directory: ProjectDirectory, database: Database, clock: Clock
) -> None:
    database.put("p", "s1")
    await directory.find("p")
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            database.is_away = True
            for _ in range(20):
                clock.now += 3
                await directory.find("p")
            database.is_away = False
            for _ in range(5):
                clock.now += 3
                await directory.find("p")
    assert [line["event"] for line in logs] == ["project_settings_not_read", "project_settings_read_again"] * 2
    assert logs[0]["kind"] == "OSError"
    assert logs[1]["away_seconds"] == 60


async def test_before_the_first_reading_nothing_is_called_unknown(
    directory: ProjectDirectory, database: Database
) -> None:
    database.is_away = True
    with pytest.raises(SettingsUnknownError):
        await directory.find("p")


async def test_a_secret_that_does_not_open_leaves_a_problem_and_no_secret(
    directory: ProjectDirectory, database: Database
) -> None:
    sealed = Sealed("gone", b"n" * 12, b"x")
    database.settings = [WebhookSettings("p", "keycrm", {"auth": "token"}, {WEBHOOK_SECRET: sealed})]
    project = await directory.find("p")
    assert project is not None
    assert project.auth.secret is None
    assert project.problem is not None


async def test_a_project_of_a_crm_without_connector_takes_no_webhooks(
    directory: ProjectDirectory, database: Database
) -> None:
    database.put("p", "s1", crm="nobody")
    assert await directory.find("p") is None
    assert directory.peek("p") is None


def test_settings_without_a_scheme_refuse_everything() -> None:
    assert webhook_auth({}, None).scheme == "unset"
    assert webhook_auth({}, "secret").scheme == "unset"
    full = webhook_auth(
        {"auth": "hmac", "header": "X-Sign", "encoding": "base64", "prefix": "sha256=", "ip_allow": ["10.0.0.0/8"]},
        " s ",
    )
    assert (full.scheme, full.secret, full.header, full.encoding) == ("hmac", "s", "x-sign", "base64")
    assert (full.prefix, full.ip_allow) == ("sha256=", ("10.0.0.0/8",))
