"""`crm-elt sync`, `process`, `replay`: move data by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, ProjectArgument, console, print_json, print_rows, progress_bar
from commands.stack import Stack, require_project, run
from sync import normalise, process, pull, replay, requests

SinceOption = Annotated[str | None, typer.Option(help="ISO 8601; without an offset: UTC.")]


def add_to(application: typer.Typer) -> None:
    application.command("sync")(sync_)
    application.command("process")(process_)
    application.command("replay")(replay_)


def sync_(
    project: ProjectArgument,
    entity: Annotated[str | None, typer.Option(help="One stream only: orders, customers, products ...")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="One object of that stream.")] = None,
    since: SinceOption = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything again, not only what changed.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Pull a project's CRM now: what is new, or one object, or everything."""
    if id_ is not None and entity is None:
        raise CommandError("--id needs --entity: for example `--entity orders --id 501`.", 2)
    start = parse_time(since, "--since")

    async def work(stack: Stack) -> list[dict[str, Any]]:
        async with stack.pool() as pool:
            await require_project(pool, project)
            if id_ is not None and entity is not None:
                return [await requests.read_now(pool, stack.keyring, project, entity, id_)]
            with progress_bar(f"Pulling {project}", quiet=as_json) as bar:
                result = await pull.pull_project(
                    pool,
                    stack.keyring,
                    project,
                    streams=None if entity is None else [entity],
                    since=start,
                    full=full,
                    progress=lambda state: bar.update(state.rows, state.total, state.stream),
                )
            return [stream.as_row() for stream in result.streams]

    rows = run(work)
    if as_json:
        print_json(rows)
    else:
        print_rows(f"Pulled {project}", rows)


def process_(as_json: JsonFlag = False) -> None:
    """Apply everything that has landed to the canonical model now."""

    async def work(stack: Stack) -> normalise.DrainResult:
        async with stack.pool() as pool:
            with progress_bar("Processing", quiet=as_json) as bar:
                return await process.process_all(pool, progress=lambda done, total: bar.update(done, total))

    result = run(work)
    if as_json:
        print_json(result.as_row())
    else:
        console.print(f"{result.rows} rows processed, {result.events} new status events, {result.failed} failed.")
        if result.failed:
            console.print("See `crm-elt dead-letters list` for the failed ones.")


def replay_(
    project: ProjectArgument,
    since: Annotated[str | None, typer.Option("--from", help="ISO 8601: only what arrived from then on.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="ISO 8601: only what arrived before.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Rebuild a project's canonical records from what is kept in raw alone."""
    start, end = parse_time(since, "--from"), parse_time(until, "--to")

    async def work(stack: Stack) -> replay.ReplayResult:
        async with stack.pool() as pool:
            await require_project(pool, project)
            with progress_bar(f"Replaying {project}", quiet=as_json) as bar:
                return await replay.replay_project(
                    pool, project, since=start, until=end, progress=lambda done, total: bar.update(done, total)
                )

    result = run(work)
    if as_json:
        print_json(result.as_row())
    else:
        console.print(f"{result.rows} raw rows replayed, {result.events} status events, {result.failed} failed.")


def parse_time(text: str | None, option: str) -> datetime | None:
    """An ISO 8601 time; naive is UTC. Raises CommandError naming the option."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f'{option}: expected a time such as "2026-01-31T09:00", got {text!r}.', 2) from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
