"""Who may ask for syncs over HTTP, and what is told where the database is away.

Until there are logins, these routes take what the project's webhooks take: its token (`X-Webhook-Token` or `?token=`),
bearer token or signature over the body. A project whose webhooks need no proof cannot be synced over HTTP; the command
line can.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import Request

from database.connection import Connection
from ingest_api import requests
from ingest_api.authenticate import read_authentic
from ingest_api.problems import ProblemError, database_away
from ingest_api.projects import Project, SettingsUnknownError
from ingest_api.services import Services, services_of

_ID_LENGTH = 200

log = structlog.get_logger()


async def authorise(request: Request, crm: str | None, project_id: str | None = None) -> tuple[Project, bytes]:
    """The project that the request names and may act for, and the body."""
    services = services_of(request)
    query = requests.read_query(request.scope["query_string"])
    project_id = project_id or query.get("project")
    try:
        if project_id is None:
            project_id = await _only_project(services, crm or "")
        project = services.projects.peek(project_id) or await services.projects.find(project_id)
    except SettingsUnknownError as error:
        raise ProblemError(503, "database_away", str(error), retry_after=2) from None
    if project is None or crm not in (None, project.crm):
        raise ProblemError(404, "unknown_project", "There is no such project; check the address.")
    project, body = await read_authentic(services.projects, services.bodies, project, request)
    if project.auth.scheme == "none":
        raise ProblemError(
            401, "not_authentic",
            "Its webhooks need no proof, so syncs of this project over HTTP are off: set webhook.auth.",
        )  # fmt: skip
    return project, body


def require_id(object_id: str) -> None:
    """Raises ProblemError unless this may be the id of something."""
    if not object_id.strip() or len(object_id) > _ID_LENGTH or not object_id.isprintable():
        raise ProblemError(400, "invalid", "The id is empty, too long or unprintable.")


@asynccontextmanager
async def database(request: Request) -> AsyncIterator[Connection]:
    """A connection in a transaction; whatever fails in it but a ProblemError is told as the database being away."""
    try:
        async with services_of(request).connections.connection() as connection, connection.transaction():
            yield connection
    except ProblemError:
        raise
    except Exception as error:
        log.warning("sync_request_failed", kind=type(error).__name__)
        raise database_away() from error


async def _only_project(services: Services, crm: str) -> str:
    names = await services.projects.names(crm)
    if len(names) != 1:
        raise ProblemError(400, "no_project", "Say which project: add ?project=NAME.")
    return names[0]
