"""`crm-elt export-log`: a project's status events for process-mining tools."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from commands.failures import CommandError
from commands.output import ProjectArgument, notes, progress_bar
from commands.stack import Stack, require_project, run
from sync.event_log import EventLogError, ExportResult, export_log


class LogFormat(StrEnum):
    CSV = "csv"
    XES = "xes"


def add_to(application: typer.Typer) -> None:
    application.command("export-log")(export)


def export(
    project: ProjectArgument,
    form: Annotated[LogFormat, typer.Option("--format", help="csv, or xes (IEEE 1849).")] = LogFormat.CSV,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; without it, standard output.")] = None,
) -> None:
    """Write a project's event log for process-mining tools: orders as cases, statuses entered as activities."""

    async def work(stack: Stack) -> ExportResult:
        async with stack.pool() as pool:
            await require_project(pool, project)
            with _opened(output) as target, progress_bar("Exporting", quiet=output is None) as bar:
                return await export_log(pool, project, form.value, target, progress=bar.update)

    try:
        result = run(work)
    except EventLogError as error:
        raise CommandError(str(error)) from None
    except BrokenPipeError:  # the reader has seen enough: `| head`
        raise typer.Exit(1) from None
    if output is not None:
        notes.print(f"{result.events} events of {result.cases} orders written to {output}.", markup=False)


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """The file, which is there only once it is whole; or standard output, in UTF-8 whatever the terminal speaks."""
    if output is None:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as stream:
            yield stream
        return
    if output.is_dir():
        raise CommandError(f"{output} is a folder: name a file in it with --output.")
    unfinished = output.with_name(f"{output.name}.part")
    try:
        stream = unfinished.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise CommandError(f"{output} cannot be written ({error.strerror}): name another file with --output.") from None
    try:
        with stream:
            yield stream
        unfinished.replace(output)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
