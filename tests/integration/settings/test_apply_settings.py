from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import anyio
import psycopg
import pytest

from database.connection import Connection, connect
from database.encryption import Keyring
from database.repositories import audit, credentials, settings
from database.repositories.settings import CalendarRow, ExceptionRow, SlaRow, Window
from sync.settings import ApplyResult, SettingsError, apply_settings
from tests.support.settings_examples import DESIGN_ENVIRON, DESIGN_EXAMPLE, KNOWN

pytestmark = pytest.mark.anyio


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with await connect(database_url) as connection:
        yield connection


async def _apply(
    connection: Connection,
    keyring: Keyring,
    text: str,
    environ: Mapping[str, str] = DESIGN_ENVIRON,
    dry_run: bool = False,
) -> ApplyResult:
    return await apply_settings(
        connection, keyring, text, source="settings.yaml", environ=environ, actor="test", dry_run=dry_run, known=KNOWN
    )


async def _dump(connection: Connection) -> dict[str, list[Any]]:
    """Everything in schema config, times of writing included."""
    cursor = await connection.execute("select tablename from pg_tables where schemaname = 'config' order by 1")
    tables = [row["tablename"] for row in await cursor.fetchall()]
    dump = {}
    for table in tables:
        cursor = await connection.execute(f"select to_jsonb(t) as row, xmin::text from config.{table} t order by 1")
        dump[table] = await cursor.fetchall()
    return dump


def _changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


async def test_the_example_of_the_design_is_stored_as_it_means(connection: Connection, keyring: Keyring) -> None:
    result = await _apply(connection, keyring, DESIGN_EXAMPLE)

    assert [str(change) for change in result.changes] == [
        "print-shop: project added (keycrm, Europe/Kyiv)",
        "print-shop: credential api_key added",
        "print-shop: credential webhook.secret added",
    ]
    row = await settings.load_project(connection, "print-shop")
    assert row is not None
    assert (row.name, row.crm, row.base_url, row.timezone) == (
        "Print shop",
        "keycrm",
        "http://127.0.0.1:9001/v1",
        "Europe/Kyiv",
    )
    assert row.webhook == {"auth": "token", "header": None, "encoding": "hex", "prefix": "", "ip_allow": ["10.0.0.0/8"]}
    assert row.sync["since"] == "2025-01-01"
    assert (row.sync["products"], row.sync["batch_size"]) == (False, 50)
    assert (row.options, row.conflict_policy, row.is_enabled) == ({"source_id": 2}, "newest", True)
    rules = await settings.load_rules(connection, "print-shop")
    assert rules.sla == (SlaRow("normal", "2", 28_800), SlaRow("urgent", "2", 14_400), SlaRow("vip", "2", 7_200))
    weekday = (Window("09:00", "18:00"),)
    two = (Window("08:00", "12:00"), Window("13:00", "17:00"))
    assert rules.calendars == (
        CalendarRow("", dict.fromkeys(range(1, 6), weekday)),
        CalendarRow("3", {**dict.fromkeys(range(1, 5), two), 5: (Window("22:00", "06:00"),)}),
    )
    assert rules.exceptions == (
        ExceptionRow("3", date(2025, 12, 24), (Window("09:00", "13:00"),)),
        ExceptionRow("*", date(2025, 12, 25)),
    )
    assert await credentials.load(connection, keyring, "print-shop") == {
        "api_key": "key-of-the-print-shop",
        "webhook.secret": "hook-of-the-print-shop",
    }


async def test_applying_again_changes_nothing_and_writes_nothing(connection: Connection, keyring: Keyring) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    before = await _dump(connection)

    result = await _apply(connection, keyring, DESIGN_EXAMPLE)

    assert result.changes == ()
    assert await _dump(connection) == before


async def test_each_change_is_named_and_audited_without_secrets(connection: Connection, keyring: Keyring) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    text = _changed(DESIGN_EXAMPLE, 'limit: "08:00"', 'limit: "06:00"')
    text = _changed(text, "interval_minutes: 5", "interval_minutes: 10")
    text = _changed(
        text, 'default: {mon-fri: ["09:00-18:00"]}', 'default: {mon-thu: ["09:00-18:00"], sat: [10:00-14:00]}'
    )
    text = _changed(text, '{match: offer_id, value: "16"}', '{match: offer_id, value: "17"}')
    text = _changed(text, "title: To delivery", "title: Delivered")
    text = _changed(text, "{date: 2025-12-25}", "{date: 2025-12-26}")
    text = _changed(text, "conflict_policy: newest", "conflict_policy: {status: vms}")
    text = _changed(text, "timezone: Europe/Kyiv", "timezone: Europe/Kyiv\n    region: UA")
    last = (await audit.entries(connection))[0].audit_id

    result = await _apply(connection, keyring, text, {**DESIGN_ENVIRON, "PRINT_SHOP_KEY": "a new key"})

    assert sorted(str(change) for change in result.changes) == [
        "print-shop: conflict_policy newest -> (status vms)",
        "print-shop: credential api_key changed",
        "print-shop: cycle to-delivery title To delivery -> Delivered",
        "print-shop: exception 2025-12-25 day off removed",
        "print-shop: exception 2025-12-26 day off added",
        "print-shop: region UA added",
        "print-shop: sla group 2 normal 08:00 -> 06:00",
        "print-shop: sync interval_minutes 5 -> 10",
        "print-shop: urgent offer_id 16 active removed",
        "print-shop: urgent offer_id 17 active added",
        "print-shop: working hours default fri 09:00-18:00 -> none, sat none -> 10:00-14:00",
    ]
    entries = [entry for entry in await audit.entries(connection) if entry.audit_id > last]
    assert len(entries) == len(result.changes)
    assert {(entry.actor, entry.project_id) for entry in entries} == {("test", "print-shop")}
    by_object = {entry.object: entry for entry in entries}
    assert (by_object["sla group 2 normal"].before, by_object["sla group 2 normal"].after) == ("08:00", "06:00")
    assert by_object["credential api_key"].action == "changed"
    everything = str(await _dump(connection))
    for secret in ("key-of-the-print-shop", "hook-of-the-print-shop", "a new key"):
        assert secret not in everything
    assert (await credentials.load(connection, keyring, "print-shop"))["api_key"] == "a new key"


async def test_a_change_marks_the_project_as_changed(connection: Connection, keyring: Keyring) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    before = await settings.load_project(connection, "print-shop")
    await _apply(connection, keyring, _changed(DESIGN_EXAMPLE, 'limit: "08:00"', 'limit: "06:00"'))
    after = await settings.load_project(connection, "print-shop")
    assert before is not None
    assert after is not None
    assert after.updated_at > before.updated_at
    assert replace(after, updated_at=before.updated_at) == before, "rules of their own leave the project's row alone"


async def test_an_omitted_section_becomes_its_default_but_credentials_and_the_enabled_state_stay(
    connection: Connection, keyring: Keyring
) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    await settings.set_enabled(connection, "print-shop", False, "wrong key")

    text = "projects: [{id: print-shop, name: Print shop, crm: keycrm, timezone: Europe/Kyiv}]"
    result = await _apply(connection, keyring, text, {})

    assert await settings.load_rules(connection, "print-shop") == settings.Rules()
    row = await settings.load_project(connection, "print-shop")
    assert row is not None
    assert (row.options, row.status_map, row.sync["since"], row.base_url) == ({}, {}, None, None)
    assert (row.is_enabled, row.disabled_reason) == (False, "wrong key")
    assert set(await credentials.load(connection, keyring, "print-shop")) == {"api_key", "webhook.secret"}
    assert result.notes == ("print-shop is disabled (wrong key): crm-elt project enable print-shop",)


async def test_projects_that_the_file_does_not_name_are_untouched(connection: Connection, keyring: Keyring) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    before = await _dump(connection)
    await _apply(connection, keyring, "projects: [{id: files, name: Files, crm: csv, timezone: UTC}]")
    after = await _dump(connection)
    assert [row.project_id for row in await settings.list_projects(connection)] == ["files", "print-shop"]
    for table in ("sla_rules", "cycle_rules", "calendars", "calendar_windows", "credentials"):
        assert after[table] == before[table]


async def test_nothing_is_applied_if_one_of_several_projects_is_wrong(connection: Connection, keyring: Keyring) -> None:
    before = await _dump(connection)
    text = DESIGN_EXAMPLE + "  - {id: second, name: Second, crm: keycrm, timezone: Mars/Olympus}\n"
    with pytest.raises(SettingsError) as caught:
        await _apply(connection, keyring, text)
    assert str(caught.value).splitlines() == [
        'projects[1].timezone: expected an IANA time zone such as Europe/Kyiv, got "Mars/Olympus"',
        "projects[1].credentials: keycrm needs `api_key`",
    ]
    assert await _dump(connection) == before


async def test_a_failure_in_the_middle_of_writing_leaves_nothing_behind(
    connection: Connection, keyring: Keyring
) -> None:
    await connection.execute(
        "alter table config.urgent_rules add constraint no_seventeen check (value <> '17')",
    )
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    before = await _dump(connection)
    text = _changed(DESIGN_EXAMPLE, 'value: "16"', 'value: "17"').replace("Print shop", "Renamed")
    with pytest.raises(psycopg.errors.CheckViolation):
        await _apply(connection, keyring, text)
    assert await _dump(connection) == before


async def test_a_dry_run_tells_the_changes_and_makes_none(connection: Connection, keyring: Keyring) -> None:
    result = await _apply(connection, keyring, DESIGN_EXAMPLE, dry_run=True)
    assert result.dry_run
    assert len(result.changes) == 3
    assert await settings.list_projects(connection) == []
    assert await audit.entries(connection) == []


async def test_two_applies_at_once_come_one_after_the_other(database_url: str, keyring: Keyring) -> None:
    results: list[ApplyResult] = []

    async def apply() -> None:
        async with await connect(database_url) as connection:
            results.append(await _apply(connection, keyring, DESIGN_EXAMPLE))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(apply)
    assert sorted(len(result.changes) for result in results) == [0, 0, 0, 3]


async def test_a_required_credential_is_asked_for_only_while_none_is_stored(
    connection: Connection, keyring: Keyring
) -> None:
    text = "projects: [{id: shop, name: Shop, crm: keycrm, timezone: UTC%s}]"
    with pytest.raises(SettingsError, match=r"^projects\[0\].credentials: keycrm needs `api_key`$"):
        await _apply(connection, keyring, text % "")
    await _apply(connection, keyring, text % ", credentials: {api_key: k}")
    assert (await _apply(connection, keyring, text % "")).changes == ()


async def test_a_webhook_section_needs_its_secret_once(connection: Connection, keyring: Keyring) -> None:
    text = "projects: [{id: files, name: Files, crm: csv, timezone: UTC, webhook: {auth: %s}}]"
    with pytest.raises(SettingsError, match=r"^projects\[0\].webhook.secret: required by auth token$"):
        await _apply(connection, keyring, text % "token")
    await _apply(connection, keyring, text % "token, secret: s")
    assert [str(change) for change in (await _apply(connection, keyring, text % "hmac")).changes] == [
        "files: webhook auth token -> hmac"
    ]


async def test_open_doors_are_noted(connection: Connection, keyring: Keyring) -> None:
    text = (
        "projects: [{id: files, name: Files, crm: csv, timezone: UTC, webhook: {auth: none}, base_url: %s, "
        "credentials: {}}]"
    )
    result = await _apply(connection, keyring, text % "http://192.168.0.5:8080")
    assert result.notes == (
        "files: base_url is http to another host, so credentials travel unencrypted",
        "files: webhook auth none lets anybody who reaches the ingest API write events",
    )
    assert result.lines()[-1].startswith("note: files: webhook")
    for address in ("http://127.0.0.1:1", "http://localhost:1", "'http://[::1]:1'", "https://crm.example"):
        assert len((await _apply(connection, keyring, text % address)).notes) == 1


async def test_a_project_with_data_keeps_its_crm(connection: Connection, keyring: Keyring) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    text = "projects: [{id: print-shop, name: Print shop, crm: csv, timezone: Europe/Kyiv}]"
    result = await _apply(connection, keyring, text, dry_run=True)
    assert "print-shop: credential api_key removed" in [str(change) for change in result.changes]

    await connection.execute(
        """
        insert into raw.webhook_events (project_id, crm, content_hash, body)
        values ('print-shop', 'keycrm', '\\x00', '{}')
        """
    )
    with pytest.raises(SettingsError) as caught:
        await _apply(connection, keyring, text)
    assert str(caught.value) == (
        "projects[0].crm: stored as keycrm and has data already: give the csv account a project of its own"
    )


async def test_a_credential_that_no_key_opens_is_replaced_by_the_file(connection: Connection, keyring: Keyring) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    lost = Keyring([bytes(32)])
    result = await _apply(connection, lost, DESIGN_EXAMPLE)
    assert [str(change) for change in result.changes] == [
        "print-shop: credential api_key changed",
        "print-shop: credential webhook.secret changed",
    ]
    assert (await credentials.load(connection, lost, "print-shop"))["api_key"] == "key-of-the-print-shop"


async def test_a_zone_that_postgresql_does_not_know_is_refused(
    connection: Connection, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await settings.knows_timezone(connection, "Europe/Kyiv")
    assert not await settings.knows_timezone(connection, "Mars/Olympus")
    monkeypatch.setattr("sync.settings.fields._zones", lambda: frozenset({"Mars/Olympus"}))
    with pytest.raises(SettingsError, match=r"timezone: the zone data of this PostgreSQL does not know Mars/Olympus"):
        await _apply(connection, keyring, "projects: [{id: files, name: F, crm: csv, timezone: Mars/Olympus}]")


async def test_ids_may_be_in_any_script_and_order(connection: Connection, keyring: Keyring) -> None:
    text = """
projects:
  - id: files
    name: "Файли 📦"
    crm: csv
    timezone: UTC
    status_groups: [{id: б, name: Б}, {id: a, name: A}, {id: Z, name: Z}, {id: 10, name: ten}, {id: 9, name: nine}]
    sla: [{group_id: б, limit: 1:00}, {group_id: 10, limit: 1:00}, {group_id: 9, limit: 1:00}]
    urgent: [{match: sku, value: 'б"'}, {match: sku, value: a}, {match: product_id, value: 😀}]
    working_hours: {groups: {б: {}, a: {mon: []}, "10": {sun: [23:00-22:00, 00:00-24:00]}}}
"""
    assert len((await _apply(connection, keyring, text)).changes) == 1
    assert (await _apply(connection, keyring, text)).changes == ()
    rules = await settings.load_rules(connection, "files")
    assert rules.calendars[0] == CalendarRow("10", {7: (Window("00:00", "24:00"), Window("23:00", "22:00"))})
    assert rules.calendars[1] == CalendarRow("a", {})


async def test_settings_written_by_sql_alone_have_the_defaults(connection: Connection, keyring: Keyring) -> None:
    await connection.execute(
        "insert into config.projects (project_id, name, crm, timezone) values ('files', 'Files', 'csv', 'UTC')"
    )
    result = await _apply(connection, keyring, "projects: [{id: files, name: Files, crm: csv, timezone: UTC}]")
    assert result.changes == ()


async def test_enabling_is_told_only_when_it_changes_something(connection: Connection, keyring: Keyring) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE)
    assert not await settings.set_enabled(connection, "print-shop", True)
    assert await settings.set_enabled(connection, "print-shop", False, "401 from the CRM")
    assert await settings.list_projects(connection, enabled_only=True) == []
    assert await settings.set_enabled(connection, "print-shop", True, "not kept")
    (row,) = await settings.list_projects(connection, enabled_only=True)
    assert row.disabled_reason is None
    assert not await settings.set_enabled(connection, "nobody", True)
    assert await settings.load_project(connection, "nobody") is None


async def test_another_order_of_statuses_with_one_meaning_is_a_change(connection: Connection, keyring: Keyring) -> None:
    """The first of them is what is sent."""
    mapped = "status_map: {new: PENDING, complete: DELIVERED}"
    several = _changed(DESIGN_EXAMPLE, mapped, "status_map: {done: DELIVERED, new: PENDING, complete: DELIVERED}")
    await _apply(connection, keyring, several)
    other = several.replace(
        "{done: DELIVERED, new: PENDING, complete: DELIVERED}", "{complete: DELIVERED, new: PENDING, done: DELIVERED}"
    )
    result = await _apply(connection, keyring, other)
    assert [str(change) for change in result.changes] == [
        "print-shop: statuses for DELIVERED done, complete -> complete, done"
    ]
    row = await settings.load_project(connection, "print-shop")
    assert row is not None
    assert list(row.status_map) == ["complete", "new", "done"]
