"""What the routes share: one object per running application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psycopg
import structlog
from starlette.requests import HTTPConnection

from dashboard.cookies import Cookies
from dashboard.sessions import Sessions
from dashboard.stream.feed import Feed
from dashboard.stream.rights import Rights
from database.connection import Connection
from database.environment import Environment
from web.connections import Connections
from web.problems import database_away

log = structlog.get_logger()


@dataclass(slots=True)
class Services:
    connections: Connections
    logins: Connections
    """Of their own, because a login holds one while a password is compared."""
    sessions: Sessions
    cookies: Cookies
    feed: Feed
    rights: Rights
    head: str
    """The migration that this code needs."""
    origins: frozenset[str]
    """Other origins whose pages may call us, as browsers name them."""

    @contextlib.asynccontextmanager
    async def database(self, *, is_login: bool = False) -> AsyncIterator[Connection]:
        """A connection for one request. Raises ProblemError, 503, if the database is away."""
        try:
            async with (self.logins if is_login else self.connections).connection() as connection:
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError) as error:
            log.warning("database_away", process="dashboard", kind=type(error).__name__)
            raise database_away() from error


def environment_of(connection: HTTPConnection) -> Environment:
    """Of the application that answers this request or WebSocket."""
    environment: Environment = connection.app.state.environment
    return environment


def services_of(connection: HTTPConnection) -> Services:
    """Of the application that answers this request or WebSocket."""
    services: Services = connection.app.state.services
    return services
