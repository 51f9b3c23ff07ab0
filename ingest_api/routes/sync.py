"""Manual syncs: queue a request, tell where to ask for it, tell how far a project is.

Until there are logins, these routes take what the project's webhooks take: its token (`X-Webhook-Token` or `?token=`),
bearer token or signature over the body. A project whose webhooks need no proof cannot be synced over HTTP; the command
line can.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from database.connection import Connection
from database.repositories import landing, settings
from database.repositories import requests as sync_requests
from ingest_api import requests
from ingest_api.authenticate import read_authentic
from ingest_api.problems import ProblemError, database_away
from ingest_api.projects import Project, SettingsUnknownError
from ingest_api.services import Services, services_of
from sync.since import read_since
from web.answers import json_answer

_KEYCRM_OBJECTS = {"orders": "orders", "customers": "customers", "articles": "products"}
_ID_LENGTH = 200

router = APIRouter()
log = structlog.get_logger()


class SyncOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/projects/{p}/sync; all of it is optional."""

    entity: str | None = None
    """A stream of the project's CRM: orders, customers ...; none: all of them."""
    id: str | int | None = None
    """One object of that stream."""
    since: str | None = None
    """A day or a time; without an offset it is in the project's zone."""
    full: bool = False


@router.post("/api/keycrm/sync/full-resync")
async def resync_all(request: Request) -> Response:
    """Pull everything again."""
    project, _ = await _authorise(request, "keycrm")
    return await _queue(request, project, is_full=True)


@router.post("/api/keycrm/sync/{kind}/{crm_id}")
async def resync_one(request: Request, kind: str, crm_id: str) -> Response:
    """Read one order, customer or article again."""
    if kind not in _KEYCRM_OBJECTS:
        raise ProblemError(404, "http", "One can sync orders, customers or articles.")
    project, _ = await _authorise(request, "keycrm")
    return await _queue(request, project, stream=_KEYCRM_OBJECTS[kind], crm_id=crm_id)


@router.get("/api/keycrm/sync/status")
async def status(request: Request) -> Response:
    """How far the project's streams are, what waits, what failed."""
    project, _ = await _authorise(request, "keycrm")
    streams = [stream.name for stream in project.connector.capabilities.streams]
    try:
        async with services_of(request).connections.connection() as connection:
            state = await landing.sync_status(connection, project.project_id, streams)
            newest = await sync_requests.list_newest(connection, [project.project_id])
    except Exception as error:
        raise _database_away(error) from error
    return json_answer({**(state or {}), "requests": newest})


@router.post("/api/projects/{project_id}/sync")
async def sync_project(request: Request, project_id: str) -> Response:
    """Pull a project's news, a stream, or one object."""
    project, body = await _authorise(request, None, project_id)
    order = _order(body)
    return await _queue(
        request, project,
        stream=order.entity, crm_id=None if order.id is None else str(order.id), since=order.since, is_full=order.full,
    )  # fmt: skip


@router.get("/api/projects/{project_id}/sync/{request_id}")
async def sync_state(request: Request, project_id: str, request_id: int) -> Response:
    """What became of a request."""
    project, _ = await _authorise(request, None, project_id)
    try:
        async with services_of(request).connections.connection() as connection:
            found = await sync_requests.get(connection, request_id) if request_id < 2**63 else None
    except Exception as error:
        raise _database_away(error) from error
    if found is None or found["project_id"] != project.project_id:
        raise ProblemError(404, "unknown_request", f"This project has no sync request {request_id}.")
    return json_answer(found)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _authorise(request: Request, crm: str | None, project_id: str | None = None) -> tuple[Project, bytes]:
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


async def _only_project(services: Services, crm: str) -> str:
    names = await services.projects.names(crm)
    if len(names) != 1:
        raise ProblemError(400, "no_project", "Say which project: add ?project=NAME.")
    return names[0]


def _order(body: bytes) -> SyncOrder:
    if not body.strip():
        return SyncOrder()
    try:
        return msgspec.json.decode(body, type=SyncOrder)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, "invalid", f"The body is no sync request: {error}.") from None


async def _queue(
    request: Request,
    project: Project,
    *,
    stream: str | None = None,
    crm_id: str | None = None,
    since: str | None = None,
    is_full: bool = False,
) -> Response:
    if not project.connector.capabilities.has_api:
        raise ProblemError(400, "invalid", f"{project.crm} has no API to sync with: its records come as files.")
    streams = {one.name: one for one in project.connector.capabilities.streams}
    if stream is not None and stream not in streams:
        raise ProblemError(400, "invalid", f"{project.crm} has no stream of this name; there are {', '.join(streams)}.")
    if crm_id is not None:
        if stream is None or not streams[stream].can_read_one:
            raise ProblemError(
                400, "invalid", "One object can be synced of a stream that can read one: name its entity."
            )
        if not crm_id.strip() or len(crm_id) > _ID_LENGTH or not crm_id.isprintable():
            raise ProblemError(400, "invalid", "The id is empty, too long or unprintable.")
        if is_full or since is not None:
            raise ProblemError(400, "invalid", "One object takes neither since nor full.")
    services = services_of(request)
    try:
        async with services.connections.connection() as connection:
            start = None if since is None else await _start(connection, project.project_id, since)
            request_id = await sync_requests.enqueue(
                connection, project.project_id, stream=stream, crm_id=crm_id, since=start, is_full=is_full,
                origin="manual", requested_by="ingest api",
            )  # fmt: skip
    except ProblemError:
        raise
    except Exception as error:
        raise _database_away(error) from error
    log.info("sync_requested", project=project.project_id, request=request_id, stream=stream, full=is_full)
    where = f"/api/projects/{project.project_id}/sync/{request_id}"
    return json_answer(
        {"status": "queued", "request_id": request_id, "project_id": project.project_id, "status_url": where},
        status=202, location=where,
    )  # fmt: skip


async def _start(connection: Connection, project_id: str, since: str) -> datetime:
    row = await settings.load_project(connection, project_id)
    if row is None:
        raise ProblemError(404, "unknown_project", "There is no such project; check the address.")
    try:
        return read_since(since, row.timezone)
    except ValueError as error:
        raise ProblemError(400, "invalid", f"since: {error}.") from None


def _database_away(error: Exception) -> ProblemError:
    log.warning("sync_request_failed", kind=type(error).__name__)
    return database_away()
