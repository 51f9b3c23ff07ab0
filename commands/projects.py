"""`crm-elt project ...`."""

from __future__ import annotations

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, ProjectArgument, console, print_json, print_rows
from commands.stack import Stack, actor, require_project, run
from connectors.errors import ConfigError
from database.repositories import settings
from database.repositories.settings import ProjectRow
from sync.settings import show_settings
from sync.switching import switch
from sync.trials import Trial, try_project

commands = typer.Typer(
    help="Projects: one CRM account of one business each.", no_args_is_help=True, suggest_commands=False
)


@commands.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """All projects and their state."""

    async def work(stack: Stack) -> list[ProjectRow]:
        async with stack.pool() as pool, pool.connection() as connection:
            return await settings.list_projects(connection)

    rows = [
        {
            "project_id": row.project_id,
            "name": row.name,
            "crm": row.crm,
            "timezone": row.timezone,
            "enabled": row.is_enabled,
            "disabled_reason": row.disabled_reason,
        }
        for row in run(work)
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows("Projects", rows)


@commands.command()
def show(project: ProjectArgument) -> None:
    """A project's settings as YAML, without secrets."""

    async def work(stack: Stack) -> str:
        async with stack.pool() as pool:
            await require_project(pool, project)
            async with pool.connection() as connection:
                return await show_settings(connection, project)

    typer.echo(run(work), nl=False)


@commands.command("test")
def try_connection(project: ProjectArgument, as_json: JsonFlag = False) -> None:
    """Try the project's credentials, and its definition if it has one: a new definition is pulled with only then."""

    async def work(stack: Stack) -> Trial:
        async with stack.pool() as pool:
            await require_project(pool, project)
            return await try_project(pool, stack.keyring, project, actor=actor())

    trial = run(work)
    health = trial.health
    if as_json:
        print_json(
            {"project_id": project, "ok": health.ok, "message": health.message, "enabled_now": trial.is_enabled_now}
        )
    elif health.ok:
        console.print(f"{project}: {health.message}", markup=False, soft_wrap=True)
        if trial.is_enabled_now:
            console.print(f"{project} is enabled.")
    if not health.ok:
        raise CommandError(f"{project}: {health.message}")


@commands.command()
def enable(project: ProjectArgument) -> None:
    """Start syncing a project (again)."""
    _switch(project, True)


@commands.command()
def disable(project: ProjectArgument) -> None:
    """Stop syncing a project; its data stays, its webhooks are still landed."""
    _switch(project, False)


def _switch(project: str, enabled: bool) -> None:
    async def work(stack: Stack) -> None:
        async with stack.pool() as pool:
            await require_project(pool, project)
            async with pool.connection() as connection:
                try:
                    await switch(connection, project, enabled=enabled, actor=actor())
                except ConfigError as error:
                    raise CommandError(f"{error.message}: run `crm-elt project test {project}`.") from None

    run(work)
    console.print(f"{project} is {'enabled' if enabled else 'disabled'}.")
