"""`crm-elt sync`, `process`, `replay`: move data by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, ProjectArgument, console, print_json, print_rows, progress_bar
from commands.stack import Stack, require_project, run
from connectors.errors import ConfigError
from sync import process, pull, reconcile, replay, requests
from sync.since import read_since, read_time

SinceOption = Annotated[
    str | None, typer.Option(help="Day or time, ISO 8601; without an offset it is in the project's zone.")
]


def add_to(application: typer.Typer) -> None:
    application.command("sync")(sync_)
    application.command("reconcile")(reconcile_)
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
    if id_ is not None and (since is not None or full):
        raise CommandError("--id reads one object whole: leave out --since and --full.", 2)
    _time(since, "--since", "UTC")  # told at once, before anything is started

    async def work(stack: Stack) -> list[dict[str, Any]]:
        async with stack.pool() as pool:
            row = await require_project(pool, project)
            start = _time(since, "--since", row.timezone, read_since)
            if id_ is not None and entity is not None:
                return [await requests.read_now(pool, stack.keyring, project, entity, id_)]
            try:
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
            except ConfigError as error:
                if row.is_enabled and not (await require_project(pool, project)).is_enabled:
                    raise CommandError(
                        f"{error.message}. {project} is disabled now: mend it, then `crm-elt project enable {project}`."
                    ) from None
                raise
            return [stream.as_row() for stream in result.streams]

    rows = run(work)
    if as_json:
        print_json(rows)
    else:
        print_rows(f"Pulled {project}", rows)


def reconcile_(
    project: ProjectArgument,
    accept: Annotated[
        bool, typer.Option("--accept", help="Believe the CRM even if it lacks a large part of what is known.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Compare the ids that a project's CRM has with what is here: read what is missing, and ask for what is gone."""

    async def work(stack: Stack) -> list[dict[str, Any]]:
        async with stack.pool() as pool:
            await require_project(pool, project)
            results = await reconcile.reconcile_project(pool, stack.keyring, project, accept=accept)
            return [result.as_row() for result in results]

    rows = run(work)
    if as_json:
        print_json(rows)
    elif rows:
        print_rows(f"Compared {project}", rows)
    else:
        console.print(f"The CRM of {project} cannot list what it has, or its streams are switched off.")
    if failed := [row for row in rows if row["error"]]:
        raise CommandError("; ".join(f"{row['stream']}: {row['error']}" for row in failed))


def process_(as_json: JsonFlag = False) -> None:
    """Apply everything that has landed to the canonical model now, and work off what waits between vms and the CRMs."""
    result = process_now(quiet=as_json)
    if as_json:
        print_json(result.as_row())
    else:
        print_processed(result)


def process_now(*, quiet: bool) -> process.Processed:
    """What `crm-elt process` does, with a progress bar."""

    async def work(stack: Stack) -> process.Processed:
        async with stack.pool() as pool:
            with progress_bar("Processing", quiet=quiet) as bar:
                return await process.process_now(
                    pool, stack.keyring, progress=lambda done, total: bar.update(done, total)
                )

    return run(work)


def print_processed(result: process.Processed) -> None:
    drained, two_way = result.drained, result.two_way.counts()
    console.print(f"{drained.rows} rows processed, {drained.events} new status events, {drained.failed} failed.")
    if any(two_way.values()):
        console.print(
            f"vms: {two_way['made_in_vms']} made, {two_way['changed_in_vms']} changed, "
            f"{two_way['failed_to_apply']} failed, {two_way['applied_later']} wait; "
            f"CRMs: {two_way['sent']} sent, {two_way['skipped']} skipped, {two_way['failed_to_send']} failed, "
            f"{two_way['sent_later']} wait."
        )
    if drained.failed or two_way["failed_to_apply"] or two_way["failed_to_send"]:
        console.print("See `crm-elt dead-letters list` for the failed ones.")


def replay_(
    project: ProjectArgument,
    since: Annotated[
        str | None, typer.Option("--from", help="Only what arrived from then on; as --since of `sync`.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Only what arrived before.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Rebuild a project's canonical records from what is kept in raw alone."""
    for text, option in ((since, "--from"), (until, "--to")):
        _time(text, option, "UTC")  # told at once, before anything is started

    async def work(stack: Stack) -> replay.ReplayResult:
        async with stack.pool() as pool:
            row = await require_project(pool, project)
            start, end = _time(since, "--from", row.timezone), _time(until, "--to", row.timezone)
            if start is not None and start >= (end or datetime.now(UTC)):
                later = "now" if end is None else f"--to {until}"
                raise CommandError(f"--from {since} is not before {later}: nothing lies between them.", 2)
            with progress_bar(f"Replaying {project}", quiet=as_json) as bar:
                return await replay.replay_project(
                    pool, project, since=start, until=end, progress=lambda done, total: bar.update(done, total)
                )

    result = run(work)
    if as_json:
        print_json(result.as_row())
    else:
        console.print(f"{result.rows} raw rows replayed, {result.events} status events, {result.failed} failed.")


def _time(
    text: str | None, option: str, timezone: str, read: Callable[[str, str], datetime] = read_time
) -> datetime | None:
    try:
        return None if text is None else read(text, timezone)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.", 2) from None
