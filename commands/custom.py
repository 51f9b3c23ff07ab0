"""`crm-elt custom test`: what a definition makes of an answer, before a project is pulled with it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, console, counted, print_json, print_rows
from commands.stack import Stack, actor, require_project, run
from sync.custom_trials import Drafted, draft, read_sample, record_sample, try_first_pages

commands = typer.Typer(
    help="Custom CRMs: vendors that are defined in the settings.", no_args_is_help=True, suggest_commands=False
)
Outcomes = list[Any]


@commands.callback()
def _group() -> None:
    """Custom CRMs: vendors that are defined in the settings."""


@commands.command("test")
def try_definition(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="Settings with a project of crm custom.")],
    sample: Annotated[Path | None, typer.Option("--sample", help="A stored answer of the vendor; no network.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the vendor for the first page of each entity.")] = False,
    entity: Annotated[str | None, typer.Option("--entity", help="The entity that the sample is of.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="Where the file has several.")] = None,
    activate: Annotated[
        bool, typer.Option("--activate", help="If it passes, let the project be pulled with this definition.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what each field of each record becomes, or why it becomes nothing. Stores no record."""
    if (sample is None) != live:
        raise CommandError("Give either --sample ANSWER or --live.")
    drafted = draft(file.read_text(encoding="utf-8"), source=str(file), project_id=project)
    outcomes: Outcomes
    if sample is not None:
        outcomes = [read_sample(drafted, sample.read_bytes(), entity)]
    else:
        outcomes = asyncio.run(try_first_pages(drafted, file.read_text(encoding="utf-8"), str(file), os.environ))
    count = sum(len(outcome.records) for outcome in outcomes)
    failures = [f"{outcome.entity}: {failure}" for outcome in outcomes for failure in outcome.failures]
    _print(drafted, outcomes, failures, as_json)
    if not count:
        raise CommandError("There is no record in the answer: check `records` of the definition.")
    if failures:
        raise CommandError(f"{counted(len(failures), 'field or record')} failed: correct the definition and try again.")
    if activate:
        _activate(drafted)


def _activate(drafted: Drafted) -> None:
    async def work(stack: Stack) -> bool:
        async with stack.pool() as pool:
            await require_project(pool, drafted.project_id)
            return await record_sample(pool, drafted, actor=actor())

    if run(work):
        console.print(f"{drafted.project_id} is enabled.")
    else:
        console.print(f"Noted: {drafted.project_id} may be pulled with this definition once the file is applied.")


def _print(drafted: Drafted, outcomes: Outcomes, failures: list[str], as_json: bool) -> None:
    if as_json:
        print_json({"project_id": drafted.project_id, "passed": not failures, "entities": outcomes})
        return
    for outcome in outcomes:
        for record in outcome.records:
            rows = [
                {"field": one.name, "state": one.state, "value": one.value, "why": one.reason} for one in record.fields
            ]
            print_rows(f"{outcome.entity}, record {record.number}", rows)
            for problem in record.problems:
                console.print(f"  {problem}", markup=False, soft_wrap=True)
