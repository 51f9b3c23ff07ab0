"""What `apply` refuses of a clinic's settings, against a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from database.connection import Connection, connect
from database.encryption import Keyring
from database.repositories import credentials, settings
from sync.settings import SettingsError, apply_settings

pytestmark = pytest.mark.anyio

SALT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with await connect(database_url) as connection:
        yield connection


async def apply(connection: Connection, keyring: Keyring, salt: str | None = SALT, options: str = "{}") -> str:
    """What was changed, or the complaints."""
    given = "" if salt is None else f", salt: {salt}"
    text = f"""
projects:
  - id: clinic
    name: Clinic
    crm: renovatio
    base_url: http://127.0.0.1:9/api/public
    timezone: Europe/Moscow
    credentials: {{api_key: key-of-the-clinic{given}}}
    options: {options}
"""
    try:
        result = await apply_settings(connection, keyring, text, source="x", environ={}, actor="test")
    except SettingsError as error:
        return str(error)
    return "\n".join(result.lines())


async def land_a_visit(connection: Connection) -> None:
    await connection.execute(
        "insert into raw.api_records (project_id, crm, stream, crm_id, content_hash, body)"
        " values ('clinic', 'renovatio', 'visits', 'x', '', '{}')"
    )


async def test_a_salt_too_short_is_refused_with_what_to_do_and_nothing_is_stored(
    connection: Connection, keyring: Keyring
) -> None:
    complaint = await apply(connection, keyring, "too-short-a-salt-of-31-bytes-xx")
    assert complaint == (
        "projects[0].credentials.salt: needs at least 32 random bytes, as patients' numbers are small and a short salt "
        "can be guessed: make one with `openssl rand -hex 32`, and never change it"
    )
    assert await settings.load_project(connection, "clinic") is None
    assert await credentials.load(connection, keyring, "clinic") == {}


async def test_a_salt_of_32_bytes_is_stored_and_a_missing_one_is_asked_for(
    connection: Connection, keyring: Keyring
) -> None:
    assert await apply(connection, keyring, None) == "projects[0].credentials: renovatio needs `salt`"
    assert "clinic: credential salt added" in await apply(connection, keyring)
    assert (await credentials.load(connection, keyring, "clinic"))["salt"] == SALT
    assert await apply(connection, keyring, None) == ""


async def test_a_salt_may_change_until_something_is_stored_under_its_hashes(
    connection: Connection, keyring: Keyring
) -> None:
    await apply(connection, keyring)
    assert await apply(connection, keyring, SALT + "2") == "clinic: credential salt changed"
    await land_a_visit(connection)
    complaint = await apply(connection, keyring, SALT)
    assert complaint == (
        "projects[0].credentials.salt: what is stored is named by the one before: put that back, or give the account "
        "a project of its own"
    )
    assert (await credentials.load(connection, keyring, "clinic"))["salt"] == SALT + "2"
    assert await apply(connection, keyring, SALT + "2") == ""


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("{clinic_ids: [1, 2], timezones: {2: Europe/Lisbon}}", "clinic: project added (renovatio, Europe/Moscow)"),
        ("{clinic_ids: [0]}", "projects[0].options.clinic_ids: expected the numbers of clinics, which are above 0"),
        ("{clinic_ids: Clinic A}", "projects[0].options.clinic_ids: expected a list"),
        ("{timezones: {2: Lisbon}}", 'projects[0].options.timezones["2"]: expected an IANA time zone'),
        ("{timezones: {2: [1]}}", 'projects[0].options.timezones["2"]: expected an IANA time zone'),
        ("{timezones: Europe/Lisbon}", "projects[0].options.timezones: expected a mapping"),
    ],
)
async def test_options_are_checked(connection: Connection, keyring: Keyring, options: str, complaint: str) -> None:
    assert complaint in await apply(connection, keyring, options=options)


async def test_zones_of_clinics_are_stored_by_number_once(connection: Connection, keyring: Keyring) -> None:
    options = "{clinic_ids: [2], timezones: {2: Europe/Lisbon}}"
    await apply(connection, keyring, options=options)
    project = await settings.load_project(connection, "clinic")
    assert project is not None
    assert project.options == {"clinic_ids": [2], "timezones": {"2": "Europe/Lisbon"}}
    assert await apply(connection, keyring, options=options) == ""
