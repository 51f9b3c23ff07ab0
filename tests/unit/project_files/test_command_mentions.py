"""Wherever a text, a document or a comment names a `crm-elt` command, there is one, with the options that are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from commands.application import application

ROOT = Path(__file__).parents[3]
ENDINGS = {".py", ".md", ".html", ".po", ".yml", ".yaml", ".toml", ".sql", ".js", ".example"}
NOT_OURS = {".venv", ".git", "tests", "target", "logs", "test-output", "build", "__pycache__"}
COMMANDS = typer.main.get_command(application)
EVERYWHERE = {"--debug", "--help"}
NO_COMMANDS = {
    "analytics", "credential", "dashboard", "ingest", "lock", "operations",
    "at", "does", "has", "needs", "neither", "runs",
}  # fmt: skip
"""What else may follow the project's name where it is no code: names of its parts, and sentences about it."""

_WORD = r"[a-z][a-z-]*"
_MENTION = re.compile(
    rf"(?P<code>`|^ *\$? *)?(?<!application=\")\bcrm-elt (?P<words>{_WORD}(?:[ |]{_WORD})*)(?P<rest>[^`\n#|;]*)",
    re.MULTILINE,
)
"""Code stands in backticks or begins a line; an application's name is what PostgreSQL knows a connection by."""


def problems(text: str) -> list[str]:
    """What a text says of commands that is not so."""
    found = []
    for match in _MENTION.finditer(text):
        is_code = match["code"] is not None
        command, path, problem = follow(match["words"].split(" "), is_code)
        if problem is not None:
            found.append(problem)
        elif command is not None and is_code:
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | EVERYWHERE
            named = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", match["rest"]))
            found += [f"crm-elt {path} has no option {name}" for name in sorted(named - known)]
    return found


def follow(words: list[str], is_code: bool) -> tuple[click.Command | None, str, str | None]:
    """The command that the words lead to, what it is called, and what is wrong with it."""
    command: click.Command = COMMANDS
    path: list[str] = []
    for word in words:
        if not isinstance(command, click.Group):
            break
        group, context = command, click.Context(command)
        for alternative in word.split("|"):
            following = group.get_command(context, alternative)
            if following is None:
                is_prose = not is_code and not path and alternative in NO_COMMANDS
                name = " ".join((*path, alternative))
                return None, name, None if is_prose else f"there is no command crm-elt {name}"
            command = following
        path.append(word)
    return command, " ".join(path), None


def texts() -> Iterator[Path]:
    for top in sorted(ROOT.iterdir()):
        if top.name in NOT_OURS:
            continue
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            is_ours = not NOT_OURS.intersection(path.relative_to(ROOT).parts)
            if is_ours and path.is_file() and (path.suffix in ENDINGS or path.name in ("Makefile", "Dockerfile")):
                yield path


def test_every_command_that_is_named_anywhere_exists_with_its_options() -> None:
    wrong = {str(path.relative_to(ROOT)): problems(path.read_text()) for path in texts()}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_all_kinds_of_texts_are_looked_at() -> None:
    names = {str(path.relative_to(ROOT)) for path in texts()}
    assert {"README.md", "docs/dashboard.md", "dashboard/openapi_words.py", "dashboard/locale/uk/settings.po"} <= names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("as `crm-elt connectors` lists them", ["there is no command crm-elt connectors"]),
        ("run crm-elt connectors", ["there is no command crm-elt connectors"]),
        ("see `crm-elt dead-letters show-all`", ["there is no command crm-elt dead-letters show-all"]),
        ("`crm-elt subscription list|enable|forget`", ["there is no command crm-elt subscription forget"]),
        ("`crm-elt dashboard`", ["there is no command crm-elt dashboard"]),
        ("application crm-elt dashboard; crm-elt does not know it", []),
        ("crm-elt sync print-shop --sinc 2026-01-01  # from that day", ["crm-elt sync has no option --sinc"]),
        ("`crm-elt sync print-shop --since 2026-01-01`, crm-elt build does it", []),
    ],
)
def test_what_is_not_there_is_found(text: str, said: list[str]) -> None:
    assert problems(text) == said
