"""Manual pulls: queue a request, tell where to ask for it. Who may do it: see `ingest_api.manual`."""

from __future__ import annotations

from datetime import datetime

import msgspec
import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from database.connection import Connection
from database.repositories import requests as sync_requests
from database.repositories import settings
from ingest_api.manual import authorise, database, require_id
from ingest_api.problems import ProblemError
from ingest_api.projects import Project
from sync.since import read_since
from web.answers import json_answer

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


@router.post("/api/projects/{project_id}/sync")
async def sync_project(request: Request, project_id: str) -> Response:
    """Pull a project's news, a stream, or one object."""
    project, body = await authorise(request, None, project_id)
    order = _order(body)
    return await _queue(
        request, project,
        stream=order.entity, crm_id=None if order.id is None else str(order.id), since=order.since, is_full=order.full,
    )  # fmt: skip


@router.get("/api/projects/{project_id}/sync/{request_id}")
async def sync_state(request: Request, project_id: str, request_id: int) -> Response:
    """What became of a request."""
    project, _ = await authorise(request, None, project_id)
    async with database(request) as connection:
        found = await sync_requests.get(connection, request_id) if request_id < 2**63 else None
    if found is None or found["project_id"] != project.project_id:
        raise ProblemError(404, "unknown_request", f"This project has no sync request {request_id}.")
    return json_answer(found)


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
        require_id(crm_id)
        if is_full or since is not None:
            raise ProblemError(400, "invalid", "One object takes neither since nor full.")
    async with database(request) as connection:
        start = None if since is None else await _start(connection, project.project_id, since)
        request_id = await sync_requests.enqueue(
            connection, project.project_id, stream=stream, crm_id=crm_id, since=start, is_full=is_full,
            origin="manual", requested_by="ingest api",
        )  # fmt: skip
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
