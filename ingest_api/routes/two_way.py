"""Manual syncs of the CRMs that vms is kept in step with: one object, everything, and how far it all is."""

from __future__ import annotations

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from database.connection import Connection
from database.repositories import consistency, landing, resyncs, settings, two_way_status
from database.repositories import requests as sync_requests
from ingest_api.manual import authorise, database, require_id
from ingest_api.problems import ProblemError
from ingest_api.projects import Project
from sync.two_way import manual, resync
from sync.two_way.manual import UnknownObjectError
from sync.two_way.objects import Side
from web.answers import json_answer

CRMS = ("keycrm", "retailcrm")
_BY = "ingest api"

ResyncId = Annotated[int, Path(ge=1, le=2**63 - 1)]
SideQuery = Annotated[Side | None, Query(description="Whose id it is: crm (default) or vms.")]

log = structlog.get_logger()


def known_crm(crm: str) -> None:
    if crm not in CRMS:
        raise ProblemError(404, "http", "There is no such address.")


router = APIRouter(prefix="/api/{crm}/sync", dependencies=[Depends(known_crm)])


@router.post("/full-resync")
async def resync_all(request: Request, crm: str) -> Response:
    """Pull everything again, then compare every object of both sides; the one under way, if there is one."""
    project, _ = await authorise(request, crm)
    _require_api(project)
    async with database(request) as connection:
        resync_id = await resyncs.enqueue(connection, project.project_id, _BY)
    log.info("resync_requested", project=project.project_id, resync=resync_id)
    where = _resync_url(crm, project.project_id, resync_id)
    return json_answer(
        {"status": "queued", "resync_id": resync_id, "project_id": project.project_id, "status_url": where},
        status=202, location=where,
    )  # fmt: skip


@router.get("/full-resync/{resync_id}")
async def resync_state(request: Request, crm: str, resync_id: ResyncId) -> Response:
    """How far a full resync is, and what it found."""
    project, _ = await authorise(request, crm)
    async with database(request) as connection:
        row = await resyncs.get(connection, project.project_id, resync_id)
    if row is None:
        raise ProblemError(404, "unknown_request", f"This project has no full resync {resync_id}.")
    return json_answer({**resync.as_row(row), "stream": None, "crm_id": None, "is_full": True, "origin": "manual"})


@router.delete("/full-resync/{resync_id}")
async def cancel_resync(request: Request, crm: str, resync_id: ResyncId) -> Response:
    """Cancel a full resync that is under way; what it has done stays done."""
    project, _ = await authorise(request, crm)
    async with database(request) as connection:
        known = await resyncs.get(connection, project.project_id, resync_id)
        row = await resyncs.cancel(connection, project.project_id, resync_id)
    if known is None:
        raise ProblemError(404, "unknown_request", f"This project has no full resync {resync_id}.")
    if row is None:
        raise ProblemError(409, "not_running", f"Full resync {resync_id} is over already ({known.state}).")
    log.info("resync_cancelled", project=project.project_id, resync=resync_id)
    return json_answer(resync.as_row(row))


@router.post("/{kind}/{object_id}")
async def resync_one(request: Request, crm: str, kind: str, object_id: str, side: SideQuery = None) -> Response:
    """Read one order, customer or article again, and send what vms has of it."""
    if kind not in manual.ENTITY_OF:
        raise ProblemError(404, "http", "One can sync orders, customers or articles.")
    project, _ = await authorise(request, crm)
    _require_api(project)
    require_id(object_id)
    async with database(request) as connection:
        row = await settings.load_project(connection, project.project_id)
        if row is None:
            raise ProblemError(404, "unknown_project", "There is no such project; check the address.")
        capabilities = project.connector.capabilities.given(row.options)
        try:
            asked = await manual.sync_one(
                connection,
                row,
                capabilities,
                kind,
                object_id,
                side=side,
                requested_by=_BY,
            )
        except UnknownObjectError as error:
            raise ProblemError(404, "unknown_object", str(error)) from None
    log.info("sync_requested", project=project.project_id, kind=kind, requests=asked.request_ids, vms=asked.vms_ids)
    where = f"/api/{crm}/sync/status?project={project.project_id}"
    if asked.request_ids:
        where = f"/api/projects/{project.project_id}/sync/{asked.request_ids[0]}"
    return json_answer(
        {
            "status": "queued", "request_id": next(iter(asked.request_ids), None), "request_ids": asked.request_ids,
            "vms_ids": asked.vms_ids, "project_id": project.project_id, "status_url": where,
        },
        status=202, location=where,
    )  # fmt: skip


@router.get("/status")
async def status(request: Request, crm: str) -> Response:
    """How far the project's streams and both directions are, what waits, what failed, by kind of object."""
    project, _ = await authorise(request, crm)
    streams = [stream.name for stream in project.connector.capabilities.streams]
    async with database(request) as connection:
        state = await landing.sync_status(connection, project.project_id, streams)
        newest = await sync_requests.list_newest(connection, [project.project_id])
        both = await _two_way(connection, project.project_id)
    return json_answer({**(state or {}), "requests": newest, **both})


async def _two_way(connection: Connection, project_id: str) -> dict[str, Any]:
    checks = {row.entity_type: row for row in await consistency.newest(connection, project_id)}
    entities = [
        {**row, "last_check": checks.get(row["entity"])}
        for row in await two_way_status.entities(connection, project_id)
    ]
    under_way = await resyncs.newest(connection, project_id)
    return {
        "entities": entities,
        "dead_letters": await two_way_status.open_letters(connection, project_id),
        "resync": None if under_way is None else resync.as_row(under_way),
    }


def _require_api(project: Project) -> None:
    if not project.connector.capabilities.has_api:
        raise ProblemError(400, "invalid", f"{project.crm} has no API to sync with: its records come as files.")


def _resync_url(crm: str, project_id: str, resync_id: int) -> str:
    return f"/api/{crm}/sync/full-resync/{resync_id}?project={project_id}"
