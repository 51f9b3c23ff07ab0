"""The command tree."""

from __future__ import annotations

import typer

from commands import (
    build,
    conflicts,
    custom,
    dagster,
    database,
    dead_letters,
    demo,
    docs,
    doctor,
    export_log,
    import_csv,
    keys,
    oauth,
    projects,
    services,
    settings,
    subscriptions,
    sync,
    two_way,
    users,
    webhooks,
)

application = typer.Typer(
    name="crm-elt",
    help="Joins a business's CRM accounts to one PostgreSQL, measures working-hour SLAs. `--debug` shows tracebacks.",
    no_args_is_help=True,
    suggest_commands=False,  # Click does it already
    add_completion=False,
    pretty_exceptions_enable=False,
)
services.add_to(application)
demo.add_to(application)
settings.add_to(application)
export_log.add_to(application)
application.add_typer(projects.commands, name="project")
sync.add_to(application)
two_way.add_to(application)
import_csv.add_to(application)
build.add_to(application)
application.add_typer(dead_letters.commands, name="dead-letters")
application.add_typer(conflicts.commands, name="conflicts")
application.add_typer(subscriptions.commands, name="subscription")
application.add_typer(webhooks.commands, name="webhooks")
application.add_typer(custom.commands, name="custom")
oauth.add_to(application)
application.add_typer(users.commands, name="user")
application.add_typer(keys.commands, name="keys")
database.add_to(application)
application.add_typer(dagster.commands, name="dagster")
docs.add_to(application)
doctor.add_to(application)
