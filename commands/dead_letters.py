"""`crm-elt dead-letters ...`: what could not be applied, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, console, print_json, print_rows
from commands.stack import Stack, require_project, run
from database.connection import Pool
from sync import dead_letters

commands = typer.Typer(
    help="Records that could not be applied or sent; nothing is dropped.", no_args_is_help=True, suggest_commands=False
)

ProjectOption = Annotated[str | None, typer.Option(help="One project only.")]
Ids = Annotated[
    list[int] | None, typer.Argument(metavar="[ID ...]", min=1, max=2**63 - 1, help="Ids from `dead-letters list`.")
]
AllFlag = Annotated[bool, typer.Option("--all", help="All open ones (of the project, if one is named).")]


_STATES = ("open", "permanently_failed", "resolved", "discarded", "all")


@commands.command("list")
def list_(
    project: ProjectOption = None,
    state: Annotated[
        str, typer.Option(help="open, permanently_failed (of the open ones), resolved, discarded or all.")
    ] = "open",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: JsonFlag = False,
) -> None:
    """The newest dead letters with their reasons."""
    if state not in _STATES:
        raise CommandError(f"--state: expected {', '.join(_STATES[:-1])} or {_STATES[-1]}, got {state!r}.", 2)

    async def work(stack: Stack) -> list[dict[str, Any]]:
        async with stack.pool() as pool:
            await _require_known(pool, project)
            return await dead_letters.list_letters(
                pool, project_id=project, state=None if state == "all" else state, limit=limit
            )

    rows = run(work)
    if as_json:
        print_json(rows)
        return
    shown = (
        "dead_letter_id",
        "project_id",
        "source",
        "stream",
        "crm_id",
        "raw_id",
        "error_word",
        "reason",
        "attempts",
        "last_failed_at",
    )
    print_rows("Dead letters", [{name: row[name] for name in shown} for row in rows])


@commands.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="Id from `dead-letters list`.")],
    as_json: JsonFlag = False,
) -> None:
    """One dead letter with all there is of it: what was sent and what was answered, too."""

    async def work(stack: Stack) -> dict[str, Any] | None:
        async with stack.pool() as pool:
            return await dead_letters.get_letter(pool, number)

    letter = run(work)
    if letter is None:
        raise CommandError(f"There is no dead letter {number}: see `crm-elt dead-letters list`.", 2)
    if as_json:
        print_json(letter)
        return
    for name, value in letter.items():
        if value is not None:
            console.print(f"{name}: {value}", markup=False, highlight=False)


@commands.command()
def retry(ids: Ids = None, project: ProjectOption = None, every: AllFlag = False) -> None:
    """Try again to apply dead letters, or to send them; those that succeed are closed."""
    _require_choice(ids, every)

    async def work(stack: Stack) -> dead_letters.RetryResult:
        async with stack.pool() as pool:
            await _require_known(pool, project)
            await _require_open(pool, ids)
            return await dead_letters.retry(pool, stack.keyring, ids=None if every else ids, project_id=project)

    result = run(work)
    console.print(f"{result.resolved} applied, {result.failed} failed again.")
    if result.failed:
        raise CommandError("Some dead letters failed again: `crm-elt dead-letters list` says why.")


@commands.command()
def discard(ids: Ids = None, project: ProjectOption = None, every: AllFlag = False) -> None:
    """Close dead letters without applying them; they stay listed as discarded."""
    _require_choice(ids, every)

    async def work(stack: Stack) -> int:
        async with stack.pool() as pool:
            await _require_known(pool, project)
            await _require_open(pool, ids)
            return await dead_letters.discard(pool, ids=None if every else ids, project_id=project)

    console.print(f"{run(work)} discarded.")


async def _require_known(pool: Pool, project: str | None) -> None:
    """A misspelt project has no dead letters, which would read as good news."""
    if project is not None:
        await require_project(pool, project)


async def _require_open(pool: Pool, ids: list[int] | None) -> None:
    missing = await dead_letters.not_open(pool, ids or [])
    if missing:
        names = ", ".join(map(str, missing))
        raise CommandError(f"There is no open dead letter {names}: see `crm-elt dead-letters list`.", 2)


def _require_choice(ids: list[int] | None, every: bool) -> None:
    if bool(ids) == every:
        raise CommandError("Name the ids from `crm-elt dead-letters list`, or give --all.", 2)
