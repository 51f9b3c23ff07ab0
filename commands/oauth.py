"""`crm-elt oauth`: let a CRM grant access in the browser."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

import typer

from commands.failures import CommandError
from commands.output import ProjectArgument, console
from commands.stack import Stack, require_project, run
from connectors import registry
from sync import oauth
from sync.oauth import StateError


def add_to(application: typer.Typer) -> None:
    application.command("oauth")(oauth_)


def oauth_(
    crm: Annotated[str, typer.Argument(metavar="CRM", help="Name of the CRM, such as amocrm.")],
    project: ProjectArgument,
    code: Annotated[
        str | None,
        typer.Option(help="Finish by hand: the code, or the whole address that the browser was sent back to."),
    ] = None,
) -> None:
    """Print the address where a CRM grants access to a project; the callback route of the ingest API does the rest."""
    if crm not in registry.names():
        raise CommandError(f"There is no CRM {crm!r} (known: {', '.join(registry.names())}).", 2)

    async def work(stack: Stack) -> str:
        async with stack.pool() as pool:
            await require_project(pool, project)
            if code is None:
                return await oauth.authorize_url(pool, stack.keyring, crm, project)
            query = _query(code)
            if "state" in query:
                try:
                    named = oauth.read_state(stack.keyring, crm, query["state"], datetime.now(UTC))
                except StateError as error:
                    raise CommandError(str(error)) from None
                if named != project:
                    raise CommandError(f"The address was made for the project {named}; nothing was stored.")
            granted = await oauth.finish_by_hand(pool, stack.keyring, crm, project, query)
            hint = "" if granted.is_enabled else f" The project is disabled: run `crm-elt project enable {project}`."
            return f"{project} has access. {granted.message}.{hint}"

    said = run(work)
    if code is None:
        console.print("Open this address as the CRM account's administrator, and allow the access:", markup=False)
    typer.echo(said)  # unbroken, so that it can be copied


def _query(text: str) -> dict[str, str]:
    """The code, or the query of the address."""
    parts = urlsplit(text.strip())
    return dict(parse_qsl(parts.query)) if parts.query else {"code": text.strip()}
