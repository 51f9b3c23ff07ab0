"""`crm-elt keys ...`: the master key that encrypts credentials."""

from __future__ import annotations

import typer

from commands.output import JsonFlag, console, print_json
from commands.stack import Stack, run
from database.encryption import Keyring, new_key
from database.repositories import credentials, subscriptions, tokens

commands = typer.Typer(help="The master key that encrypts credentials.", no_args_is_help=True, suggest_commands=False)


@commands.callback()
def _group() -> None:
    """Keeps `rotate` a command of its own name."""


@commands.command()
def rotate(as_json: JsonFlag = False) -> None:
    """Encrypt all credentials anew with the newest key, while everything runs.

    With CRM_ELT_MASTER_KEY set: put a new key there and the old one into CRM_ELT_MASTER_KEYS_PREVIOUS, then run this.
    With the key file of development: a new key is made, used, and the old one removed.
    """

    async def work(stack: Stack) -> int:
        keyring = stack.keyring if stack.environment.master_key else Keyring.rotate_file(stack.environment.home)
        async with stack.pool() as pool, pool.connection() as connection:
            changed = await credentials.rotate(connection, keyring)
            changed += await tokens.rotate(connection, keyring) + await subscriptions.rotate(connection, keyring)
            if not stack.environment.master_key:
                await credentials.drop_unused_keys(connection, stack.environment.home)
        return changed

    changed = run(work)
    if as_json:
        print_json({"reencrypted": changed})
    else:
        console.print(f"{changed} credentials encrypted anew.")


@commands.command()
def new() -> None:
    """Print a new random key, fit for CRM_ELT_MASTER_KEY."""
    typer.echo(new_key())
