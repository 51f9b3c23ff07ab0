"""`crm-elt migrate` and `crm-elt database ...`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, console, print_json
from database import migrate as migrations
from database.embedded import EmbeddedServer
from database.environment import load_environment
from database.server import embedded_server, ensure_url

commands = typer.Typer(help="The embedded PostgreSQL.", no_args_is_help=True, suggest_commands=False)


def add_to(application: typer.Typer) -> None:
    application.command()(migrate)
    application.add_typer(commands, name="database")


def migrate(
    to: Annotated[str, typer.Option(help="A revision, `head`, or `base` to remove everything.")] = "head",
    yes: Annotated[
        bool, typer.Option("--yes", help="Go backwards without asking; what later ones made is lost.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring the database to a migration, forwards or, which deletes what the later ones made, backwards."""
    url = ensure_url(load_environment())
    before = migrations.current(url)
    known = migrations.revisions()
    if to not in (*known, "head", "base"):
        raise CommandError(f"There is no migration {to!r}: choose one of {', '.join(known)}, head or base.", 2)
    goal = migrations.head() if to == "head" else to
    position = -1 if goal == "base" else known.index(goal)
    if before is not None and before not in known:
        raise CommandError(f"The database is at migration {before}, which this crm-elt does not know: use a newer one.")
    if before is not None and position < known.index(before):
        if not yes:
            raise CommandError(
                f"Going back from {before} to {goal} deletes the tables that the later migrations made, with all their "
                "data: make a backup, then say --yes.",
                2,
            )
        migrations.downgrade(url, goal)
    else:
        migrations.upgrade(url, goal)
    after = migrations.current(url)
    if as_json:
        print_json({"before": before, "after": after})
    else:
        console.print(f"Migrated from {before or 'an empty database'} to {after or 'an empty database'}.")


@commands.command()
def start() -> None:
    """Start the embedded PostgreSQL; it goes on running."""
    environment = load_environment()
    if environment.database_url:
        raise CommandError("DATABASE_URL is set, so the embedded PostgreSQL is not used: unset it first.")
    ensure_url(environment)
    console.print(f"PostgreSQL runs on 127.0.0.1:{embedded_server(environment).port} ({environment.home}).")


@commands.command()
def stop() -> None:
    """Stop the embedded PostgreSQL."""
    environment = load_environment()
    server = embedded_server(environment)
    was_running = server.is_running()
    server.stop()
    console.print("Stopped." if was_running else f"No embedded PostgreSQL runs in {environment.home}.")


@commands.command()
def url() -> None:
    """Print the address of the database, password included."""
    typer.echo(ensure_url(load_environment()))


@commands.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments go to psql."""
    environment = load_environment()
    address = ensure_url(environment)
    program = str(EmbeddedServer(environment.home).binary("psql"))
    os.execv(program, [program, address, *context.args])
