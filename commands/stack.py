"""What most commands need first: the environment, a migrated database, the keys."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from commands.failures import CommandError
from database import migrate
from database.connection import Pool, open_pool
from database.encryption import Keyring
from database.environment import Environment, load_environment
from database.repositories import settings
from database.repositories.settings import ProjectRow
from database.server import ensure_url
from sync.logging_setup import configure_logging

T = TypeVar("T")


@dataclass(frozen=True)
class Stack:
    environment: Environment
    url: str
    keyring: Keyring

    @asynccontextmanager
    async def pool(self, max_size: int = 8) -> AsyncIterator[Pool]:
        async with open_pool(self.url, max_size=max_size) as pool:
            yield pool


def open_stack(*, environment: Environment | None = None, is_service: bool = False) -> Stack:
    """The stack of this environment, with its database at the newest migration.

    An embedded database is migrated on the way; one of DATABASE_URL only by `crm-elt migrate`, since other versions of
    the code may be using it. `is_service`: a process that nobody watches, so that its log tells what it does; other
    commands show their results themselves. Raises CommandError if the database is behind.
    """
    environment = environment or load_environment()
    configure_logging(environment, is_service=is_service)
    url = ensure_url(environment)
    found = migrate.current(url)
    if found != migrate.head():
        if environment.database_url and found is not None:
            raise CommandError(
                f"The database is at migration {found} and this crm-elt needs {migrate.head()}: run `crm-elt migrate`."
            )
        migrate.upgrade(url)
    return Stack(environment, url, Keyring.load(environment))


def run(work: Callable[[Stack], Coroutine[Any, Any, T]]) -> T:
    """Open the stack and run asynchronous work on it."""
    stack = open_stack()
    return asyncio.run(work(stack))


def actor() -> str:
    """Who runs this command, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"cli:uid {os.getuid()}"


async def require_project(pool: Pool, project_id: str) -> ProjectRow:
    """The project. Raises CommandError, naming the ones there are."""
    async with pool.connection() as connection:
        project = await settings.load_project(connection, project_id)
        if project is None:
            known = ", ".join(row.project_id for row in await settings.list_projects(connection)) or "none yet"
            raise CommandError(f"There is no project {project_id!r} (known: {known}). Add it with `crm-elt apply`.")
    return project
