"""`crm-elt build`."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, console, counted, notes, print_json, progress_bar
from commands.stack import Stack, open_stack
from commands.sync import print_processed, process_now
from sync import build as builds


def add_to(application: typer.Typer) -> None:
    application.command("build")(build_)


def build_(
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Rebuild every table from nothing.")] = False,
    select: Annotated[str | None, typer.Option(help="dbt selection, for example fct_order_stages+.")] = None,
    unit_tests: Annotated[
        bool, typer.Option("--unit-tests", help="Run dbt's unit tests, the worked examples, too.")
    ] = False,
    all_rows: Annotated[
        bool, typer.Option("--all-rows", help="Test all rows, not only those that this build changes.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Process what has landed, as `process` does, then build and test the marts with dbt."""
    processed = process_now(quiet=as_json)
    stack = open_stack()
    result = build_marts(
        stack, full_refresh=full_refresh, select=select, unit_tests=unit_tests, all_rows=all_rows, quiet=as_json
    )
    if as_json:
        print_json({**result.as_row(), "processed": processed.as_row()})
    else:
        print_processed(processed)
        console.print(
            f"{counted(result.models, 'model')} built, {result.passed} of {counted(result.tests, 'test')} passed, "
            f"{len(result.failed)} failed, {result.seconds:.1f} s."
        )
    for failure in result.failed:
        notes.print(f"  {failure}", markup=False)
    if result.failed:
        raise CommandError(f"{counted(len(result.failed), 'failure')} in dbt: the lines above say what failed and why.")


def build_marts(
    stack: Stack,
    *,
    full_refresh: bool = False,
    select: str | None = None,
    unit_tests: bool = False,
    all_rows: bool = False,
    quiet: bool = False,
) -> builds.BuildResult:
    """dbt build with a progress bar."""
    with progress_bar("Building marts", quiet=quiet) as bar:
        return builds.build(
            stack.url,
            full_refresh=full_refresh,
            select=select,
            unit_tests=unit_tests,
            all_rows=all_rows,
            target_folder=stack.environment.home / "dbt",
            on_event=lambda done, total, name: bar.update(done, total, name),
        )
