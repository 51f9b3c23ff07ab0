"""`/api/sync/...`: how both ways stand, the outbox, links, comparisons, full resyncs, one object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dashboard.guard import Admin, Viewer, visible_project
from dashboard.identity import Identity
from dashboard.openapi import refusals
from dashboard.services import services_of
from dashboard.two_way import acting, asked, reading, scope
from dashboard.two_way.models import (
    Check,
    Checks,
    EntityStatus,
    Id,
    Link,
    Links,
    LinkState,
    ObjectAsked,
    ObjectWish,
    OutboxRow,
    OutboxRows,
    OutboxState,
    ProjectStatus,
    Resync,
    Resyncs,
    ResyncWish,
    SyncStatus,
)
from dashboard.two_way.reading import ProjectOverview
from dashboard.two_way.resyncs_pages import found_of, pace
from database.repositories import consistency, resyncs, two_way_lists, two_way_overview
from database.repositories.consistency import CheckRow
from database.repositories.resyncs import Kind, ResyncRow
from sync.two_way.objects import Entity
from web.problems import ProblemError

router = APIRouter(prefix="/api/sync")

_STARTING = {404: {}, **refusals({409: ("project_disabled", "Print shop is disabled: enable it first.")})}
Projects = Annotated[list[str] | None, Query()]
Kinds = Annotated[Entity | None, Query(description="Only objects of this kind.")]
After = Annotated[str | None, Query()]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/status", summary="How both ways stand")
async def status(request: Request, identity: Viewer, project: Projects = None) -> SyncStatus:
    """Queues, links, errors and the last comparison, by project and kind of object."""
    services = services_of(request)
    ids = await scope.project_ids(services, identity, project)
    async with services.database() as connection:
        linked = sorted(await two_way_overview.projects_with_links(connection, ids))
        found = await reading.load_overview(connection, ids, linked)
    return SyncStatus(
        relay_alive=found.relay.is_alive, relay_age_seconds=found.relay.age_seconds,
        items=[_project(one) for one in found.projects],
    )  # fmt: skip


@router.get("/outbox", summary="Changes on their way to the CRM, the newest first")
async def outbox(
    request: Request,
    identity: Viewer,
    project: Projects = None,
    state: Annotated[OutboxState | None, Query(description="Only changes in this state.")] = None,
    entity: Kinds = None,
    vms_id: Annotated[
        int | None, Query(ge=1, le=2**63 - 1, description="Only changes of the object with this id in vms.")
    ] = None,
    after: After = None,
    limit: Limit = 50,
) -> OutboxRows:
    """What changed in the warehouse system and goes to the CRM: waiting, sent, skipped or failed."""
    services = services_of(request)
    ids = await scope.project_ids(services, identity, project)
    cursor = asked.api_cursor(after)
    async with services.database() as connection:
        found = await two_way_lists.outbox_page(
            connection, ids, state=state, entity=entity, vms_id=vms_id, before_id=cursor.before_id, limit=limit + 1
        )
    rows = asked.rows_of(found, [row.outbox_id for row in found], cursor, limit)
    items = [
        OutboxRow.model_validate({**asdict(row), "entity": row.entity_type, "vms_id": row.vms_entity_id,
                                  "crm_id": row.crm_entity_id})
        for row in rows.items
    ]  # fmt: skip
    return OutboxRows(items=items, next=rows.older)


@router.get("/links", summary="What is linked, the newest first")
async def links(
    request: Request,
    identity: Viewer,
    project: Projects = None,
    state: Annotated[LinkState | None, Query(description="Only links in this state.")] = None,
    entity: Kinds = None,
    after: After = None,
    limit: Limit = 50,
) -> Links:
    """Objects of the warehouse system and the same objects at the CRM."""
    services = services_of(request)
    ids = await scope.project_ids(services, identity, project)
    cursor = asked.api_cursor(after)
    async with services.database() as connection:
        found = await two_way_lists.mapping_page(
            connection, ids, status=state, entity=entity, before_id=cursor.before_id, limit=limit + 1
        )
    rows = asked.rows_of(found, [row.mapping_id for row in found], cursor, limit)
    items = [
        Link.model_validate({**asdict(row), "entity": row.entity_type, "vms_id": row.vms_entity_id,
                             "crm_id": row.crm_entity_id, "state": row.sync_status, "message": row.error_message})
        for row in rows.items
    ]  # fmt: skip
    return Links(items=items, next=rows.older)


@router.get("/consistency", summary="The last comparison of each kind of object")
async def checks(request: Request, identity: Viewer, project: Projects = None) -> Checks:
    """How far both sides agreed when they were last compared, by project and kind of object."""
    services = services_of(request)
    ids = await scope.project_ids(services, identity, project)
    async with services.database() as connection:
        found = await consistency.newest_of(connection, ids)
    return Checks(items=[_check(row) for row in found])


@router.post("/consistency", summary="Compare now", status_code=202, responses=_STARTING)
async def compare(request: Request, response: Response, identity: Admin, wish: ResyncWish) -> Resync:
    """Compare both sides of a project, as every night; how far it is, /api/sync/resyncs tells."""
    return await _started(request, response, identity, wish, "check")


@router.get("/resyncs", summary="Full resyncs, the newest first")
async def list_resyncs(
    request: Request, identity: Viewer, project: Projects = None, after: After = None, limit: Limit = 50
) -> Resyncs:
    """Full resyncs and comparisons, those under way too."""
    services = services_of(request)
    ids = await scope.project_ids(services, identity, project)
    cursor = asked.api_cursor(after)
    async with services.database() as connection:
        found = await resyncs.page(connection, ids, before_id=cursor.before_id, limit=limit + 1)
    rows = asked.rows_of(found, [row.resync_id for row in found], cursor, limit)
    return Resyncs(items=[_resync(row) for row in rows.items], next=rows.older)


@router.post("/resyncs", summary="Start a full resync", status_code=202, responses=_STARTING)
async def start_resync(request: Request, response: Response, identity: Admin, wish: ResyncWish) -> Resync:
    """Read everything from the CRM and compare every object; the one under way, if there is one."""
    return await _started(request, response, identity, wish, "full")


@router.get("/resyncs/{project_id}/{resync_id}", summary="One full resync")
async def get_resync(request: Request, identity: Viewer, project_id: str, resync_id: Id) -> Resync:
    """How far it is; ask again every second or two until it has ended."""
    services = services_of(request)
    project = await visible_project(services, identity, project_id)
    async with services.database() as connection:
        row = await resyncs.get(connection, project.project_id, resync_id)
    if row is None:
        raise ProblemError(404, "unknown_resync", f"This project has no full resync {resync_id}.")
    return _resync(row)


@router.delete(
    "/resyncs/{project_id}/{resync_id}", summary="Cancel a full resync",
    responses=refusals({409: ("not_running", "Full resync 4 is over already.")}),
)  # fmt: skip
async def cancel_resync(request: Request, identity: Admin, project_id: str, resync_id: Id) -> Resync:
    """What it has done stays done."""
    services = services_of(request)
    project = await visible_project(services, identity, project_id)
    async with services.database() as connection:
        row = await acting.cancel_resync(connection, identity, project, resync_id)
    return _resync(row)


@router.post("/objects", summary="Bring one object into step", status_code=202, responses={404: {}})
async def sync_object(request: Request, identity: Admin, wish: ObjectWish) -> ObjectAsked:
    """Read one order, customer or article again from the CRM, and send what vms has of it."""
    services = services_of(request)
    project = await visible_project(services, identity, wish.project_id)
    async with services.database() as connection:
        done = await acting.sync_object(connection, identity, project, wish.kind, wish.id, wish.side)
    return ObjectAsked(project_id=project.project_id, request_ids=done.request_ids, vms_ids=done.vms_ids)


async def _started(request: Request, response: Response, identity: Identity, wish: ResyncWish, kind: Kind) -> Resync:
    services = services_of(request)
    project = await visible_project(services, identity, wish.project_id)
    async with services.database() as connection:
        number, _ = await acting.start_resync(connection, identity, project, kind)
        row = await resyncs.get(connection, project.project_id, number)
    assert row is not None
    response.headers["location"] = f"/api/sync/resyncs/{project.project_id}/{number}"
    return _resync(row)


def _project(found: ProjectOverview) -> ProjectStatus:
    entities = []
    for row in found.entities:
        check = found.checks.get(row.entity)
        entities.append(
            EntityStatus.model_validate({
                **asdict(row), "differing_share": None if check is None else reading.differing_share(check),
                "compared_at": None if check is None else check.finished_at,
            })
        )  # fmt: skip
    return ProjectStatus(
        **asdict(found.state), entities=entities, resync_id=None if found.resync is None else found.resync.resync_id
    )


def _check(row: CheckRow) -> Check:
    return Check.model_validate(
        {**asdict(row), "entity": row.entity_type, "differing_share": reading.differing_share(row)}
    )


def _resync(row: ResyncRow) -> Resync:
    how = pace(row)
    return Resync.model_validate({
        **asdict(row), "share": how.share, "per_minute": how.per_minute,
        "remaining_seconds": how.remaining_seconds, "found": found_of(row),
    })  # fmt: skip
