"""`crm-elt user ...`: users by the command line."""

from __future__ import annotations

import io
import json
import sys

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg.rows import dict_row

from commands.application import application
from commands.failures import exit_code_of
from database.environment import Environment


@pytest.fixture(autouse=True)
def _project(environment: Environment) -> None:
    with psycopg.connect(environment.database_url or "", autocommit=True) as connection:
        connection.execute(
            "insert into config.projects (project_id, name, crm, timezone) values ('shop', 'Shop', 'csv', 'UTC')"
        )


class Command:
    """Runs `crm-elt user ...` with something on stdin."""

    def __init__(self, environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        self._url, self._monkeypatch, self._capsys = environment.database_url or "", monkeypatch, capsys

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = exit_code_of(application, ["user", *arguments], debug=False)
        captured = self._capsys.readouterr()
        return code, captured.out + captured.err

    def rows(self, statement: str) -> list[dict[str, object]]:
        with psycopg.connect(self._url, row_factory=dict_row) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def user(environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(environment, monkeypatch, capsys)


def test_a_user_is_added_with_a_password_from_stdin(user: Command) -> None:
    assert user("add", "Ann@Example.com ", "--role", "admin", stdin="correct horse 1\n")[0] == 0
    assert user("add", "bob", "--project", "shop", stdin="correct horse 2\r\n")[0] == 0
    [ann, bob] = user.rows("select login, role, project_ids, password_hash from config.users order by login")
    assert (ann["login"], ann["role"], ann["project_ids"]) == ("ann@example.com", "admin", None)
    assert (bob["login"], bob["role"], bob["project_ids"]) == ("bob", "viewer", ["shop"])
    assert str(ann["password_hash"]).startswith("$argon2id$")
    assert PasswordHasher().verify(str(bob["password_hash"]), "correct horse 2")
    code, printed = user("list", "--json")
    assert code == 0
    listed = json.loads(printed)
    assert [(one["login"], one["role"], one["projects"]) for one in listed] == [
        ("ann@example.com", "admin", None),
        ("bob", "viewer", ["shop"]),
    ]
    assert "argon2" not in printed
    audited = user.rows("select action, object, after from config.audit_log order by audit_id")
    assert audited == [
        {"action": "added", "object": "user ann@example.com", "after": {"role": "admin", "projects": None}},
        {"action": "added", "object": "user bob", "after": {"role": "viewer", "projects": ["shop"]}},
    ]


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (["ann"], "", "No password came"),
        (["ann"], "short\n", "at least 10 characters"),
        (["ann"], "aaaaaaaaaaaa\n", "repeats the same few characters"),
        (["administrator"], "Administrator\n", "must not be the login"),
        (["ann", "--role", "owner"], "correct horse 1\n", "expected admin or viewer"),
        (["ann", "--project", "nowhere"], "correct horse 1\n", "There is no project 'nowhere'"),
        (["ann", "--role", "admin", "--project", "shop"], "correct horse 1\n", "An admin sees all projects"),
        (["a b"], "correct horse 1\n", "without blanks"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    user: Command, arguments: list[str], stdin: str, sentence: str
) -> None:
    code, printed = user("add", *arguments, stdin=stdin)
    assert code != 0
    assert sentence in printed
    assert user.rows("select from config.users") == []


def test_a_password_is_no_argument(user: Command) -> None:
    for arguments in (["add", "ann", "correct horse 1"], ["add", "ann", "--password", "correct horse 1"]):
        assert user(*arguments, stdin="correct horse 1\n")[0] == 2
    assert user.rows("select from config.users") == []


def test_a_login_is_there_once(user: Command) -> None:
    user("add", "ann", stdin="correct horse 1\n")
    code, printed = user("add", "ANN", stdin="correct horse 2\n")
    assert (code, "There is a user ann already" in printed) == (1, True)


def test_a_password_is_set_and_a_user_disabled_and_enabled(user: Command) -> None:
    user("add", "ann", stdin="correct horse 1\n")
    [before] = user.rows("select password_hash, token_version from config.users")
    assert user("set-password", "ann", stdin="another horse 2\n")[0] == 0
    [after] = user.rows("select password_hash, token_version from config.users")
    assert after["password_hash"] != before["password_hash"]
    assert after["token_version"] == 2
    assert "disabled" in user("disable", "ann")[1]
    assert user.rows("select is_enabled from config.users") == [{"is_enabled": False}]
    assert "was disabled" in user("disable", "ann")[1]
    assert user("enable", "ann")[0] == 0
    assert user.rows("select is_enabled from config.users") == [{"is_enabled": True}]
    code, printed = user("set-password", "nobody", stdin="another horse 2\n")
    assert (code, "There is no user nobody" in printed) == (1, True)
