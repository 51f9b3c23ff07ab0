"""The command line as a user meets it: settings, sync, dead letters, on a real PostgreSQL and a simulated KeyCRM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.keycrm.simulator import create_app
from database import migrate
from database.environment import Environment
from demo.seed import SeededAccount, seed_account
from tests.support.command_line import Cli, command_line
from tests.support.http_server import serve

SETTINGS = """
projects:
  - id: print-shop
    name: Друкарня 🖨
    crm: keycrm
    base_url: {url}/v1
    timezone: Europe/Kyiv
    region: UA
    credentials: {{api_key: "${{SHOP_KEY}}"}}
    webhook: {{auth: token, secret: "${{SHOP_HOOK}}"}}
    sync: {{orders: true, customers: true, products: true}}
    options: {{rate_limit: {{requests: 1000, per_seconds: 1}}}}
    sla: [{{group_id: 2, limit: "08:00", urgent_limit: "04:00"}}]
"""


@pytest.fixture
def account() -> SeededAccount:
    return seed_account("print-shop", datetime(2026, 11, 1, tzinfo=UTC), 40, 7)


@pytest.fixture
def crm(account: SeededAccount) -> Iterator[str]:
    with serve(create_app(account.state)) as url:
        yield url


@pytest.fixture
def cli(environment: Environment, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return command_line(capfd)


@pytest.fixture
def settings(crm: str, account: SeededAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_KEY", account.state.api_key)
    monkeypatch.setenv("SHOP_HOOK", "a-secret-for-webhooks")
    path = tmp_path / "settings.yaml"
    path.write_text(SETTINGS.format(url=crm), encoding="utf-8")
    return path


def result(cli: Cli, *words: str) -> Any:
    code, out, err = cli(*words)
    assert code == 0, err
    return json.loads(out)


def count(environment: Environment, table: str) -> int:
    with psycopg.connect(str(environment.database_url)) as connection:
        row = connection.execute(f"select count(*) from {table}").fetchone()
        assert row is not None
        return int(row[0])


def test_settings_are_applied_once_and_a_second_time_change_nothing(cli: Cli, settings: Path) -> None:
    first = result(cli, "apply", str(settings), "--json")
    assert first["applied"] is True
    assert first["changes"]
    assert result(cli, "apply", str(settings), "--json")["changes"] == []
    (project,) = result(cli, "project", "list", "--json")
    assert (project["project_id"], project["name"], project["enabled"]) == ("print-shop", "Друкарня 🖨", True)


def test_a_dry_run_changes_nothing(cli: Cli, settings: Path, environment: Environment) -> None:
    assert result(cli, "apply", str(settings), "--dry-run", "--json")["changes"]
    assert count(environment, "config.projects") == 0


def test_wrong_settings_are_told_by_path_and_change_nothing(cli: Cli, settings: Path, environment: Environment) -> None:
    settings.write_text(settings.read_text().replace('"08:00"', '"8h"').replace("Europe/Kyiv", "Europe/Kiew"))
    code, out, err = cli("apply", str(settings))
    assert code == 1
    assert out == ""
    heading, *problems = err.splitlines()
    assert heading == "Error: The settings have 2 problems; nothing was changed. Mend them and apply again:"
    assert [line.partition(": ")[0] for line in sorted(problems)] == [
        "  - projects[0].sla[0].limit",
        "  - projects[0].timezone",
    ]
    assert count(environment, "config.projects") == 0


def test_exported_settings_can_be_applied_again(cli: Cli, settings: Path, tmp_path: Path) -> None:
    result(cli, "apply", str(settings), "--json")
    code, text, err = cli("export", "print-shop")
    assert code == 0, err
    assert "a-secret-for-webhooks" not in text
    again = tmp_path / "again.yaml"
    again.write_text(text, encoding="utf-8")
    assert "Друкарня" in text
    code, out, err = cli("apply", str(again), "--dry-run", "--json")
    # Credentials are exported as ${VARIABLES}, which must be set to apply them.
    assert code == 1 or json.loads(out)["changes"] == []
    if code == 1:
        assert "${" in err or "PRINT_SHOP" in err


def test_the_crm_is_pulled_and_a_second_pull_adds_nothing(cli: Cli, settings: Path, environment: Environment) -> None:
    result(cli, "apply", str(settings), "--json")
    rows = {row["stream"]: row for row in result(cli, "sync", "print-shop", "--json")}
    assert rows["orders"]["new"] == 40
    assert count(environment, "core.orders") == 40
    assert count(environment, "core.order_status_events") >= 40
    tables = ("raw.api_records", "core.orders", "core.order_items", "core.order_status_events", "core.payments")
    before = {table: count(environment, table) for table in tables}
    again = {row["stream"]: row for row in result(cli, "sync", "print-shop", "--json")}
    assert again["orders"]["new"] == again["orders"]["changed"] == 0
    assert {table: count(environment, table) for table in tables} == before


def test_one_object_can_be_synced(cli: Cli, settings: Path, environment: Environment, account: SeededAccount) -> None:
    result(cli, "apply", str(settings), "--json")
    order_id = str(account.history[0].order_id)
    result(cli, "sync", "print-shop", "--entity", "orders", "--id", order_id, "--json")
    assert count(environment, "core.orders") == 1
    code, _, err = cli("sync", "print-shop", "--entity", "orders", "--id", "999999999")
    assert code == 1
    assert "999999999" in err


def test_a_replay_rebuilds_the_same_core_from_raw(cli: Cli, settings: Path, environment: Environment) -> None:
    result(cli, "apply", str(settings), "--json")
    result(cli, "sync", "print-shop", "--json")
    query = "select order_id, status_id, grand_total, customer_id from core.orders order by 1"
    with psycopg.connect(str(environment.database_url)) as connection:
        before = connection.execute(query).fetchall()
        result(cli, "replay", "print-shop", "--json")
        assert connection.execute(query).fetchall() == before


def test_the_connection_test_names_the_wrong_credential(
    cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result(cli, "apply", str(settings), "--json")
    code, out, err = cli("project", "test", "print-shop")
    assert code == 0, err
    monkeypatch.setenv("SHOP_KEY", "not-the-key-of-this-account")
    result(cli, "apply", str(settings), "--json")
    code, out, err = cli("project", "test", "print-shop")
    assert code == 1
    assert "api_key" in err
    assert "not-the-key" not in out + err

    code, out, err = cli("sync", "print-shop")
    assert code == 1
    assert "print-shop is disabled now: mend it, then `crm-elt project enable print-shop`." in err
    assert "not-the-key" not in out + err


def test_a_disabled_project_is_not_synced_until_it_is_enabled(cli: Cli, settings: Path) -> None:
    result(cli, "apply", str(settings), "--json")
    assert cli("project", "disable", "print-shop")[0] == 0
    code, _, err = cli("sync", "print-shop")
    assert code == 1
    assert "crm-elt project enable print-shop" in err
    assert cli("project", "enable", "print-shop")[0] == 0
    assert cli("sync", "print-shop")[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("project", "show", "nobody"),
        ("sync", "nobody"),
        ("replay", "nobody"),
        ("export", "nobody"),
        ("dead-letters", "list", "--project", "nobody"),
        ("dead-letters", "retry", "--all", "--project", "nobody"),
        ("dead-letters", "discard", "--all", "--project", "nobody"),
    ],
    ids=" ".join,
)
def test_an_unknown_project_is_told_with_the_known_ones(cli: Cli, settings: Path, words: tuple[str, ...]) -> None:
    result(cli, "apply", str(settings), "--json")
    code, _, err = cli(*words)
    assert code == 1
    assert "nobody" in err
    assert "print-shop" in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--from", "2099-01-01"), "--from 2099-01-01 is not before now"),
        (("--from", "2026-01-02", "--to", "2026-01-01"), "--from 2026-01-02 is not before --to 2026-01-01"),
    ],
)
def test_a_replay_of_no_time_at_all_is_refused(
    cli: Cli, settings: Path, environment: Environment, words: tuple[str, ...], expected: str
) -> None:
    result(cli, "apply", str(settings), "--json")
    code, out, err = cli("replay", "print-shop", *words)
    assert (code, out) == (2, "")
    assert expected in err
    assert count(environment, "sync.runs") == 0


def test_pulling_from_a_time_in_the_future_is_refused(cli: Cli, settings: Path, environment: Environment) -> None:
    result(cli, "apply", str(settings), "--json")
    code, out, err = cli("sync", "print-shop", "--since", "2099-01-01")
    assert (code, out) == (2, "")
    assert err == (
        "Error: --since: 2099-01-01 lies in the future, where there is nothing to pull: give an earlier time.\n"
    )
    assert count(environment, "sync.runs") == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sync", "print-shop", "--since", "yesterday"), "--since: expected a time"),
        (("sync", "print-shop", "--id", "5"), "--id needs --entity"),
        (("sync", "print-shop", "--entity", "orders", "--id", "5", "--full"), "leave out --since and --full"),
        (("replay", "print-shop", "--from", "yesterday"), "--from: expected a time"),
        (("dead-letters", "list", "--state", "lost"), "--state: expected open"),
        (("dead-letters", "retry"), "give --all"),
        (("migrate", "--to", "9999"), "There is no migration '9999'"),
        (("migrate", "--to", "base"), "deletes the tables"),
        (("dead-letters", "retry", "9999"), "There is no open dead letter 9999"),
        (("dead-letters", "discard", "9999"), "There is no open dead letter 9999"),
        (("dead-letters", "show", "9999"), "There is no dead letter 9999"),
        (("dead-letters", "retry", "9" * 30), "is not in the range"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    cli: Cli, environment: Environment, words: tuple[str, ...], expected: str
) -> None:
    code, _, err = cli(*words)
    assert code == 2
    assert expected in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "expected"), [(("appply",), "Did you mean 'apply'?"), (("keys", "rotat"), "Did you mean 'rotate'?")]
)
def test_a_misspelt_command_is_suggested_once(cli: Cli, words: tuple[str, ...], expected: str) -> None:
    code, _, err = cli(*words)
    assert code == 2
    assert err.count("Did you mean") == 1
    assert expected in err


def test_settings_that_are_not_there_or_not_text_are_told(cli: Cli, tmp_path: Path) -> None:
    code, _, err = cli("apply", str(tmp_path / "none.yaml"))
    assert code == 1
    assert "No such file" in err
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    code, _, err = cli("apply", str(tmp_path / "bytes.yaml"))
    assert code == 1
    assert "not UTF-8" in err


def test_migrations_go_back_and_forth_by_command(cli: Cli, environment: Environment) -> None:
    assert result(cli, "migrate", "--to", "base", "--yes", "--json")["after"] is None
    assert result(cli, "migrate", "--json")["after"] == migrate.head()


def test_a_database_behind_the_code_is_told_with_the_command(cli: Cli, environment: Environment) -> None:
    oldest, head = migrate.revisions()[-2], migrate.head()
    result(cli, "migrate", "--to", oldest, "--yes", "--json")
    code, _, err = cli("project", "list")
    assert code == 1
    assert (
        err == f"Error: The database is at migration {oldest} and this crm-elt needs {head}: run `crm-elt migrate`.\n"
    )


def test_a_wrong_variable_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_ELT_INGEST_PORT", "eighty")
    code, _, err = cli("project", "list")
    assert code == 1
    assert err.startswith("Error: CRM_ELT_INGEST_PORT: ")


def test_an_unreachable_database_is_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1:1/none")
    code, _, err = cli("project", "list")
    assert code == 1
    assert "The database cannot be used" in err
    assert "nothing" not in err


def test_the_doctor_finds_a_healthy_stack_healthy(cli: Cli, settings: Path) -> None:
    result(cli, "apply", str(settings), "--json")
    checks = {check["name"]: check for check in result(cli, "doctor", "--json")}
    assert checks["project print-shop"]["state"] == "ok"
    assert checks["migrations"]["state"] == "ok"
    assert checks["relay"]["state"] == "warning"  # none runs in this test
    assert checks["freshness"]["state"] == "warning"  # nothing was pulled yet
    assert checks["freshness"]["message"].startswith("never written: core.")
    assert "core.orders" in checks["freshness"]["message"]
    result(cli, "sync", "print-shop", "--json")
    result(cli, "build", "--json")
    checks = {check["name"]: check for check in result(cli, "doctor", "--json")}
    assert checks["freshness"]["state"] == "ok", checks["freshness"]["message"]


def test_the_doctor_fails_on_wrong_credentials_and_says_so(
    cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "wrong-key-wrong-key")
    result(cli, "apply", str(settings), "--json")
    code, out, err = cli("doctor")
    assert code == 1
    assert "project print-shop" in err
    assert "wrong-key" not in out + err


def test_the_doctor_works_without_a_database(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1:1/none")
    code, out, err = cli("doctor")
    assert code == 1
    assert "database" in err
    assert "Traceback" not in out + err


def test_rotating_the_key_file_keeps_credentials_readable(
    cli: Cli, settings: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_ELT_MASTER_KEY")
    result(cli, "apply", str(settings), "--json")
    before = (environment.home / "master.key").read_text()
    assert result(cli, "keys", "rotate", "--json")["reencrypted"] == 2
    after = (environment.home / "master.key").read_text()
    assert before.strip() not in after
    code, _, err = cli("project", "test", "print-shop")
    assert code == 0, err


def test_registering_a_webhook_says_what_to_do_where_the_crm_has_no_api_for_it(cli: Cli, settings: Path) -> None:
    result(cli, "apply", str(settings), "--json")
    code, out, err = cli("webhooks", "register", "print-shop", "--url", "https://elt.example.com")
    assert code == 0, err
    assert "https://elt.example.com/webhooks/keycrm/print-shop" in out
    assert "a-secret-for-webhooks" not in out


def land(environment: Environment, body: str) -> None:
    """A webhook in raw, waiting for core."""
    with psycopg.connect(str(environment.database_url), autocommit=True) as connection:
        connection.execute(
            """
            with landed as (
                insert into raw.webhook_events (project_id, crm, content_hash, body)
                values ('print-shop', 'keycrm', sha256(%(body)s::text::bytea), %(body)s) returning event_id
            )
            insert into sync.raw_queue (project_id, source, raw_ids)
            select 'print-shop', 'webhook', array[event_id] from landed
            """,
            {"body": body},
        )


def test_a_webhook_that_cannot_be_applied_is_listed_with_its_reason_and_can_be_discarded(
    cli: Cli, settings: Path, environment: Environment
) -> None:
    result(cli, "apply", str(settings), "--json")
    land(environment, '{"event": "order.change_order_status", "context": {"id": ["501"], "status_id": 2}}')
    processed = result(cli, "process", "--json")
    assert (processed["rows"], processed["failed"]) == (1, 1)
    (letter, *others) = result(cli, "dead-letters", "list", "--json")
    assert not others
    assert letter["error_word"] == "skip_row"
    assert "context.id" in letter["reason"]
    code, out, err = cli("dead-letters", "list")
    assert code == 0, err
    assert "context.id" in out
    number = str(letter["dead_letter_id"])
    code, out, err = cli("dead-letters", "show", number)
    assert (code, f"dead_letter_id: {number}" in out, "source: webhook" in out) == (0, True, True), err
    assert result(cli, "dead-letters", "show", number, "--json")["reason"] == letter["reason"]

    code, out, err = cli("dead-letters", "retry", str(letter["dead_letter_id"]))
    assert code == 1
    assert "0 applied, 1 failed again" in out
    assert result(cli, "dead-letters", "list", "--json")[0]["attempts"] == 2

    code, out, err = cli("dead-letters", "discard", "--all", "--project", "print-shop")
    assert (code, out) == (0, "1 discarded.\n"), err
    assert result(cli, "dead-letters", "list", "--json") == []
    (discarded,) = result(cli, "dead-letters", "list", "--state", "discarded", "--json")
    assert discarded["dead_letter_id"] == letter["dead_letter_id"]


def test_results_are_told_in_words_too(cli: Cli, settings: Path) -> None:
    code, out, err = cli("apply", str(settings))
    assert code == 0, err
    assert "print-shop: project added" in out
    assert "3 changes made." in out
    for words, expected in (
        (("project", "list"), "Друкарня"),
        (("project", "show", "print-shop"), "Europe/Kyiv"),
        (("project", "test", "print-shop"), "print-shop: KeyCRM accepts the key"),
        (("sync", "print-shop"), "orders"),
        (("process",), "0 rows processed"),
        (("replay", "print-shop"), "raw rows replayed"),
        (("dead-letters", "list"), "Dead letters: none"),
        (("keys", "rotate"), "0 credentials encrypted anew."),
        (("migrate",), f"Migrated from {migrate.head()} to {migrate.head()}."),
        (("doctor",), "project print-shop"),
    ):
        code, out, err = cli(*words)
        assert code == 0, (words, err)
        assert expected in out, words
        assert "a-secret-for-webhooks" not in out + err


def test_enabling_and_disabling_is_in_the_audit_log(cli: Cli, settings: Path, environment: Environment) -> None:
    result(cli, "apply", str(settings), "--json")
    for word in ("disable", "disable", "enable"):
        assert cli("project", word, "print-shop")[0] == 0
    with psycopg.connect(str(environment.database_url)) as connection:
        rows = connection.execute(
            "select action from config.audit_log where action in ('enabled', 'disabled') order by audit_id"
        ).fetchall()
    assert rows == [("disabled",), ("enabled",)]


def test_the_embedded_database_is_started_addressed_and_stopped_by_command(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = cli("database", "start")  # the fixture's environment has a DATABASE_URL
    assert code == 1
    assert "DATABASE_URL is set" in err
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("CRM_ELT_HOME", str(tmp_path / "embedded"))
    try:
        code, out, err = cli("database", "start")
        assert code == 0, err
        assert "PostgreSQL runs on 127.0.0.1:" in out
        code, url, err = cli("database", "url")
        assert code == 0, err
        with psycopg.connect(url.strip()) as connection:
            assert connection.execute("select current_database()").fetchone() == ("crm_elt",)
    finally:
        code, out, err = cli("database", "stop")
    assert (code, out) == (0, "Stopped.\n"), err
    assert "No embedded PostgreSQL runs" in cli("database", "stop")[1]


def test_the_marts_are_built_by_command_and_a_wrong_selection_is_told(cli: Cli, settings: Path) -> None:
    result(cli, "apply", str(settings), "--json")
    result(cli, "sync", "print-shop", "--json")
    built = result(cli, "build", "--json")
    assert built["failed"] == []
    assert built["models"] > 30
    code, out, err = cli("build", "--select", "dim_projects")
    assert code == 0, err
    assert "\n1 model built" in out
    assert out.startswith("0 rows processed")
    code, _, err = cli("build", "--select", "no_such_model")
    assert code == 1
    assert "no_such_model" in err


def test_the_dagster_definitions_are_valid(cli: Cli, environment: Environment) -> None:
    code, out, err = cli("dagster", "check")
    assert code == 0, err
    assert out == "The Dagster definitions are valid.\n"
