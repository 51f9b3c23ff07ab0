"""`/api/audit`: who changed what, as JSON."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from dashboard import cursors
from dashboard.admin.audit_reading import PAGE, read_page, scope
from dashboard.admin.models import Entries, Entry
from dashboard.guard import Viewer, wanted_projects
from dashboard.services import services_of
from web.problems import ProblemError

router = APIRouter(prefix="/api")


@router.get("/audit", summary="Read the audit log", response_model=Entries)
async def read_audit(
    request: Request,
    identity: Viewer,
    project: Annotated[list[str] | None, Query(description="Only of these projects.")] = None,
    actor: Annotated[str | None, Query(description="Who, as `user:ann`.")] = None,
    action: Annotated[str | None, Query(description="added, changed, removed ...")] = None,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="From this instant on.")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Before this instant.")] = None,
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = PAGE,
) -> Entries:
    """The newest changes first. Viewers see those of their projects; users and tokens are for admins."""
    services = services_of(request)
    wanted = await wanted_projects(services, identity, project or ())
    before_id = cursors.id_of(after)
    if any("\0" in text for text in (actor or "", action or "")):
        raise ProblemError(400, "invalid", "No name has such a character.")
    search = scope(identity, wanted, actor=actor, action=action, since=since, until=until)
    async with services.database() as connection:
        found = await read_page(connection, search, before_id, limit)
    return Entries(items=[Entry.of(entry) for entry in found.entries], next=found.next)
