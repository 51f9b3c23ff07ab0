"""`crm-elt apply` and `crm-elt export`: settings as code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, ProjectArgument, console, counted, print_json
from commands.stack import Stack, actor, require_project, run
from sync.settings import ApplyResult, apply_settings, export_settings


def add_to(application: typer.Typer) -> None:
    application.command()(apply)
    application.command()(export)


def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="Settings; - reads standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, change nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make the projects in the file exactly as it says; all of it, or nothing if any part is invalid."""
    text = _read(file)

    async def work(stack: Stack) -> ApplyResult:
        async with stack.pool() as pool, pool.connection() as connection:
            return await apply_settings(
                connection, stack.keyring, text, source=str(file), environ=os.environ, actor=actor(), dry_run=dry_run
            )

    result = run(work)
    if as_json:
        print_json(
            {"changes": [str(change) for change in result.changes], "notes": list(result.notes), "applied": not dry_run}
        )
        return
    for line in result.lines():
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if not result.changes:
        console.print("Nothing to change.")
    else:
        count = counted(len(result.changes), "change")
        console.print(f"{count} {'would be made' if dry_run else 'made'}.")


def export(project: ProjectArgument) -> None:
    """Print a project's settings as the YAML that `apply` takes; credentials as ${VARIABLES}."""

    async def work(stack: Stack) -> str:
        async with stack.pool() as pool:
            await require_project(pool, project)
            async with pool.connection() as connection:
                return await export_settings(connection, project)

    typer.echo(run(work), nl=False)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not UTF-8 text: save it as UTF-8.") from None
