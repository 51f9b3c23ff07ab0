"""`crm-elt subscription ...`: who downstream is told of sales."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, console, print_json, print_rows
from commands.stack import Stack, run
from database.repositories import subscriptions
from database.repositories.subscriptions import SubscriptionRow

commands = typer.Typer(
    help="Who downstream is told of sales; `crm-elt apply` adds and changes them.",
    no_args_is_help=True,
    suggest_commands=False,
)
Name = Annotated[str, typer.Argument(metavar="SUBSCRIPTION")]


@commands.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """All subscriptions: what they read, and whether they are sent it."""

    async def work(stack: Stack) -> list[SubscriptionRow]:
        async with stack.pool() as pool, pool.connection() as connection:
            return await subscriptions.load_all(connection)

    rows = [
        {
            "subscription_id": row.subscription_id,
            "url": row.url,
            "projects": "all" if row.project_ids is None else ", ".join(row.project_ids),
            "medical": row.is_medical,
            "enabled": row.is_enabled,
            "disabled_reason": row.disabled_reason,
            "position": row.position,
        }
        for row in run(work)
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows("Subscriptions", rows)


@commands.command()
def enable(subscription: Name) -> None:
    """Let it read and be sent again; what changed meanwhile is sent now."""
    _set(subscription, enabled=True)
    console.print(f"{subscription} is enabled.")


@commands.command()
def disable(subscription: Name) -> None:
    """Neither let it read nor send it anything, until `enable`."""
    _set(subscription, enabled=False)
    console.print(f"{subscription} is disabled.")


@commands.command()
def remove(subscription: Name) -> None:
    """Forget it, with all that waits to be sent to it."""

    async def work(stack: Stack) -> bool:
        async with stack.pool() as pool, pool.connection() as connection:
            return await subscriptions.remove(connection, subscription)

    _require(run(work), subscription)
    console.print(f"{subscription} is removed.")


def _set(subscription: str, *, enabled: bool) -> None:
    async def work(stack: Stack) -> bool:
        async with stack.pool() as pool, pool.connection() as connection:
            return await subscriptions.set_enabled(
                connection, subscription, enabled=enabled, reason=None if enabled else "by hand"
            )

    _require(run(work), subscription)


def _require(known: bool, subscription: str) -> None:
    if not known:
        raise CommandError(f"There is no subscription {subscription!r}: see `crm-elt subscription list`.")
