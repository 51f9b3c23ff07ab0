"""Which PostgreSQL to use: the one of DATABASE_URL, or the embedded one."""

from __future__ import annotations

from database.embedded import EmbeddedServer
from database.environment import Environment

DATABASE = "crm_elt"


def embedded_server(environment: Environment) -> EmbeddedServer:
    """The embedded server of this environment, started or not."""
    return EmbeddedServer(environment.home, environment.database_port)


def ensure_url(environment: Environment) -> str:
    """Address of the database; starts the embedded server and creates the database where DATABASE_URL is unset.

    Raises database.embedded.EmbeddedServerError.
    """
    if environment.database_url:
        return environment.database_url
    server = embedded_server(environment)
    server.start()
    server.create_database(DATABASE)
    return server.url(DATABASE)
