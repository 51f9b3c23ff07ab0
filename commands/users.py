"""`crm-elt user ...`: who may log in to the dashboard."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar, cast

import typer

from commands.failures import CommandError
from commands.output import JsonFlag, console, print_json, print_rows
from commands.stack import Stack, actor, run
from dashboard import users
from dashboard.sessions import normalised
from dashboard.users import UserError
from database.connection import Connection
from database.repositories import users as user_rows
from database.repositories.users import Role

T = TypeVar("T")

commands = typer.Typer(help="Who may log in to the dashboard.", no_args_is_help=True, suggest_commands=False)

LoginArgument = Annotated[str, typer.Argument(metavar="LOGIN", help="E-mail address or name.")]


@commands.command()
def add(
    login: LoginArgument,
    role: Annotated[str, typer.Option(help="admin or viewer.")] = "viewer",
    project: Annotated[
        list[str] | None, typer.Option(help="What a viewer may see; once or more. None given: all projects.")
    ] = None,
) -> None:
    """Add a user. The password is asked for, or read from the first line of stdin; it is never an argument."""
    if role not in ("admin", "viewer"):
        raise CommandError(f"--role: expected admin or viewer, got {role!r}.", 2)
    password = _read_password()
    _run(lambda c: users.add(c, login, password, cast(Role, role), project or None, actor=actor()))
    console.print(f"{normalised(login)} may log in as {role}.", markup=False)


@commands.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """All users, with what they may see."""
    rows: list[dict[str, Any]] = [
        {
            "login": user.login,
            "role": user.role,
            "projects": user.project_ids if as_json else ", ".join(user.project_ids or []) or _all(user.project_ids),
            "is_enabled": user.is_enabled,
            "locked_until": user.locked_until,
            "last_login_at": user.last_login_at,
        }
        for user in _run(user_rows.list_all)
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows("Users", rows)


@commands.command("set-password")
def set_password(login: LoginArgument) -> None:
    """Give a user a new password, asked for or read from stdin; it is logged out everywhere, and a lockout ends."""
    _run(lambda c: users.require(c, login))  # before somebody types a password for nobody
    password = _read_password()
    _run(lambda c: users.set_password(c, login, password, actor=actor()))
    console.print(f"{normalised(login)} has a new password and is logged out everywhere.", markup=False)


@commands.command()
def enable(login: LoginArgument) -> None:
    """Let a user log in again."""
    is_change = _run(lambda c: users.set_enabled(c, login, is_enabled=True, actor=actor()))
    console.print(f"{normalised(login)} {'is' if is_change else 'was'} enabled.", markup=False)


@commands.command()
def disable(login: LoginArgument) -> None:
    """Keep a user out; it is logged out everywhere at once."""
    is_change = _run(lambda c: users.set_enabled(c, login, is_enabled=False, actor=actor()))
    console.print(f"{normalised(login)} {'is' if is_change else 'was'} disabled.", markup=False)


def _run(work: Callable[[Connection], Awaitable[T]]) -> T:
    async def with_connection(stack: Stack) -> T:
        async with stack.pool(max_size=1) as pool, pool.connection() as connection:
            return await work(connection)

    try:
        return run(with_connection)
    except UserError as error:
        raise CommandError(str(error)) from None


def _read_password() -> str:
    """From the terminal, twice and unseen; else the first line of stdin."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise CommandError("No password came: write it to stdin, or run this on a terminal.")
        return password
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise CommandError("The two passwords differ; nothing was changed.")
    return password


def _all(project_ids: list[str] | None) -> str:
    return "all" if project_ids is None else "none"
