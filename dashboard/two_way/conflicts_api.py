"""`/api/conflicts`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from dashboard.guard import Admin, Viewer
from dashboard.identity import Identity
from dashboard.openapi import refusals
from dashboard.services import services_of
from dashboard.two_way import acting, asked, scope
from dashboard.two_way.conflicts_pages import conflict_of, shown_versions
from dashboard.two_way.models import Conflict, Conflicts, Decision
from database.repositories import conflicts, settings
from database.repositories.conflicts import ConflictRow
from database.repositories.settings import ProjectRow
from sync.two_way.conflicts import version
from sync.two_way.objects import Entity

_MOVED = refusals({409: ("conflict_closed", "Conflict 3 is resolved already: nothing is left to decide.")})

router = APIRouter(prefix="/api/conflicts")


@router.get("", summary="Conflicts, the newest first")
async def list_conflicts(
    request: Request,
    identity: Viewer,
    project: Annotated[list[str] | None, Query()] = None,
    state: Annotated[Literal["open", "resolved", "all"], Query(description="Only those in this state.")] = "open",
    entity: Annotated[Entity | None, Query(description="Only objects of this kind.")] = None,
    after: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Conflicts:
    """Fields that both sides changed; what tells of people is masked for viewers."""
    services = services_of(request)
    ids = await scope.project_ids(services, identity, project)
    cursor = asked.api_cursor(after)
    async with services.database() as connection:
        found = await conflicts.newest(
            connection, project_ids=ids, state=None if state == "all" else state, entity=entity,
            before_id=cursor.before_id, limit=limit + 1,
        )  # fmt: skip
        projects = {row.project_id: row for row in await settings.list_projects(connection)}
    rows = asked.rows_of(found, [row.conflict_id for row in found], cursor, limit)
    return Conflicts(
        items=[_told(identity, projects[row.project_id], row) for row in rows.items if row.project_id in projects],
        next=rows.older,
    )


@router.get("/{conflict_id}", summary="One conflict")
async def get_conflict(request: Request, identity: Viewer, conflict_id: str) -> Conflict:
    """Both sides of each field, and what they last agreed on; what tells of people is masked for viewers."""
    row, project = await conflict_of(services_of(request), identity, conflict_id)
    return _told(identity, project, row)


@router.post("/{conflict_id}/resolve", summary="Decide a conflict", responses=_MOVED)
async def resolve(request: Request, identity: Admin, conflict_id: str, decision: Decision) -> Conflict:
    """Which side wins, for all fields or for each that is named; the conflict as it is then. The other side follows
    within seconds, and each field has an entry in the audit log."""
    services = services_of(request)
    row, project = await conflict_of(services, identity, conflict_id)
    async with services.database() as connection:
        now = await acting.decide(connection, identity, row, decision.winner, decision.version)
    return _told(identity, project, now)


def _told(identity: Identity, project: ProjectRow, row: ConflictRow) -> Conflict:
    return Conflict.model_validate(
        {
            "conflict_id": row.conflict_id, "project_id": row.project_id, "entity": row.entity_type,
            "vms_id": row.vms_entity_id, "crm_id": row.crm_entity_id,
            "fields": shown_versions(identity, project, row), "state": row.state, "resolution": row.resolution or {},
            "version": version(row), "opened_at": row.opened_at, "resolved_at": row.resolved_at,
            "resolved_by": row.resolved_by,
        }
    )  # fmt: skip
