"""`crm-elt consistency` and `crm-elt resync`: compare vms and the CRM by hand."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, ProjectArgument, console, print_json, print_rows, progress_bar
from commands.stack import Stack, actor, require_project, run
from database.repositories import resyncs
from sync.two_way import resync as full
from sync.two_way.consistency import check_project
from sync.two_way.resync import ResyncResult


def add_to(application: typer.Typer) -> None:
    application.command()(consistency)
    application.command()(resync)


def consistency(project: ProjectArgument, as_json: JsonFlag = False) -> None:
    """Compare both sides of every object that vms and the CRM share; what has a clear winner is sent on."""

    async def work(stack: Stack) -> list[dict[str, Any]]:
        async with stack.pool() as pool:
            await require_project(pool, project)
            with progress_bar(f"Comparing {project}", quiet=as_json) as bar:
                results = await check_project(
                    pool, project, progress=lambda entity, done, total: bar.update(done, total, entity)
                )
            return [result.as_row() for result in results]

    rows = run(work)
    if as_json:
        print_json(rows)
        return
    print_rows(f"Both sides of {project}", [{**row, "share": f"{row['share']:.2%}"} for row in rows])


def resync(
    project: ProjectArgument,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the one under way.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Pull everything from a project's CRM, then bring every object of both sides in step.

    One that was killed or interrupted goes on where it was.
    """
    if cancel:
        _cancel(project, as_json)
        return

    async def work(stack: Stack) -> ResyncResult:
        async with stack.pool() as pool:
            await require_project(pool, project)
            async with pool.connection() as connection:
                resync_id = await resyncs.enqueue(connection, project, actor())
            with progress_bar(f"Resyncing {project}", quiet=as_json) as bar:
                result = await full.run_next(
                    pool, stack.keyring, resync_id=resync_id,
                    progress=lambda state: bar.update(state.done, state.total, f"{state.stage} {state.note}".strip()),
                )  # fmt: skip
        if result is None:
            raise CommandError(
                f"Resync {resync_id} of {project} is under way in another process: wait for it, or cancel it with "
                f"`crm-elt resync {project} --cancel`."
            )
        return result

    result = run(work)
    if as_json:
        print_json(result.as_row())
    elif result.state == "done":
        print_rows(f"Resynced {project}", [{"entity": entity, **counts} for entity, counts in result.found.items()])
    else:
        console.print(f"Resync {result.resync_id} of {project}: {result.state}.", markup=False)
    if result.state == "failed":
        raise CommandError(f"The resync failed: {result.message}")


def _cancel(project: str, as_json: bool) -> None:
    async def work(stack: Stack) -> dict[str, Any] | None:
        async with stack.pool() as pool:
            await require_project(pool, project)
            async with pool.connection() as connection:
                row = await resyncs.cancel(connection, project)
                return None if row is None else full.as_row(row)

    row = run(work)
    if row is None:
        raise CommandError(f"No resync of {project} is under way.")
    if as_json:
        print_json(row)
    else:
        console.print(f"Cancelled resync {row['resync_id']} of {project}.", markup=False)
