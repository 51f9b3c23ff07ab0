"""`crm-elt webhooks ...`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from commands.failures import CommandError
from commands.output import ProjectArgument, console
from commands.stack import Stack, require_project, run
from sync.gateway import register_webhook

commands = typer.Typer(help="Webhooks at the CRM.", no_args_is_help=True, suggest_commands=False)


@commands.callback()
def _group() -> None:
    """Keeps `register` a command of its own name."""


@commands.command()
def register(
    project: ProjectArgument,
    url: Annotated[str, typer.Option(help="Public address of the ingest API, for example https://elt.example.com.")],
) -> None:
    """Register this stack's address at the project's CRM, or say what to do there by hand."""

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise CommandError(f"--url: expected an address such as https://elt.example.com, got {url!r}.", 2)

    async def work(stack: Stack) -> str:
        async with stack.pool() as pool:
            await require_project(pool, project)
            return await register_webhook(pool, stack.keyring, project, url)

    console.print(run(work), markup=False, soft_wrap=True)
