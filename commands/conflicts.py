"""`crm-elt conflicts ...`: fields that both sides changed, for a person to decide."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, console, print_json, print_rows
from commands.stack import Stack, actor, require_project, run
from database.repositories import conflicts as rows
from database.repositories.conflicts import ConflictRow
from sync.two_way import conflicts
from sync.two_way.conflicts import ConflictError, Decisions
from sync.two_way.objects import Side

commands = typer.Typer(
    help="Fields that vms and the CRM both changed, where the policy is manual.",
    no_args_is_help=True,
    suggest_commands=False,
)

_STATES = ("open", "resolved", "all")


@commands.command("list")
def list_(
    project: Annotated[str | None, typer.Argument(metavar="[PROJECT]", help="One project only.")] = None,
    state: Annotated[str, typer.Option(help="open, resolved or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: JsonFlag = False,
) -> None:
    """The newest conflicts, field by field, with both versions."""
    if state not in _STATES:
        raise CommandError(f"--state: expected open, resolved or all, got {state!r}.", 2)

    async def work(stack: Stack) -> list[ConflictRow]:
        async with stack.pool() as pool:
            if project is not None:
                await require_project(pool, project)  # a misspelt one has no conflicts, which would read as good news
            async with pool.connection() as connection:
                return await rows.newest(
                    connection, project_ids=None if project is None else [project],
                    state=None if state == "all" else state, limit=limit,
                )  # fmt: skip

    found = run(work)
    if as_json:
        print_json(found)
    else:
        print_rows("Conflicts", [row for conflict in found for row in _lines(conflict)])


@commands.command()
def resolve(
    conflict_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="Id from `conflicts list`.")],
    vms: Annotated[bool, typer.Option("--vms", help="What vms has goes to the CRM.")] = False,
    crm: Annotated[bool, typer.Option("--crm", help="What the CRM has goes into vms.")] = False,
    field: Annotated[
        list[str] | None, typer.Option("--field", help="This field only; may be given several times. Default: all.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Decide which side wins; the other follows as soon as the relay gets to it."""
    if vms == crm:
        raise CommandError("Say which side wins: --vms or --crm.", 2)
    side: Side = "vms" if vms else "crm"

    async def work(stack: Stack) -> ConflictRow:
        decisions: Decisions = side if field is None else dict.fromkeys(field, side)
        async with stack.pool() as pool:
            try:
                return await conflicts.resolve(pool, conflict_id, decisions, actor())
            except ConflictError as error:
                raise CommandError(str(error), 2) from None

    result = run(work)
    if as_json:
        print_json(result)
        return
    left = "" if result.state == "resolved" else f" Left to decide: {', '.join(result.fields)}."
    console.print(f"Conflict {conflict_id}: {side} wins.{left}", markup=False)


def _lines(conflict: ConflictRow) -> list[dict[str, Any]]:
    """A row for each field."""
    decided = conflict.resolution or {}
    return [
        {
            "conflict_id": conflict.conflict_id,
            "project_id": conflict.project_id,
            "object": f"{conflict.entity_type} {conflict.vms_entity_id}",
            "crm_id": conflict.crm_entity_id,
            "field": name,
            "vms": versions["vms"],
            "crm": versions["crm"],
            "winner": decided.get(name) or (conflict.resolved_by if conflict.state == "resolved" else None),
            "opened_at": conflict.opened_at,
        }
        for name, versions in conflict.fields.items()
    ]
