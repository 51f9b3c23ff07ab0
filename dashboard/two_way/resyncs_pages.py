"""`/sync/resyncs`: full resyncs with their progress, and one object at somebody's request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.guard import Admin, Viewer, visible_project
from dashboard.identity import Identity
from dashboard.services import services_of
from dashboard.two_way import acting, asked, reading
from dashboard.two_way.conflicts_pages import SIDES
from dashboard.two_way.pages import around, two_way_ids
from dashboard.two_way.scope import takes_changes
from dashboard.ui import flash, pages
from dashboard.ui.forms import fields_of
from database.repositories import resyncs
from database.repositories.resyncs import ResyncRow
from sync.two_way.manual import ENTITY_OF
from web.problems import ProblemError

router = APIRouter(include_in_schema=False)

LIST = "/sync/resyncs"
PAST_ROWS = 20


@router.get(LIST)
async def resyncs_page(request: Request, identity: Viewer) -> Response:
    return await _page(request, identity)


@router.post(LIST)
async def start(request: Request, identity: Admin) -> Response:
    """Start a full resync of a project."""
    services = services_of(request)
    form = await fields_of(request)
    project = await visible_project(services, identity, form.get("project", ""))
    page = await pages.shell(request, identity, "two_way")
    _ = pages.translated(page)
    try:
        async with services.database() as connection:
            number, is_new = await acting.start_resync(connection, identity, project)
    except ProblemError as problem:
        return flash.redirect(page.link(LIST), pages.said(page, problem), "problem")
    if not is_new:
        return flash.redirect(
            page.link(LIST), _("Full resync %(number)s of this project goes already.") % {"number": number}, "note"
        )
    return flash.redirect(
        page.link(LIST), _("Full resync %(number)s waits for a worker: Dagster starts it.") % {"number": number}
    )


@router.post(LIST + "/{project_id}/{number}/cancel")
async def cancel(request: Request, identity: Admin, project_id: str, number: str) -> Response:
    """Cancel one that waits or runs; what it has done stays done."""
    services = services_of(request)
    project = await visible_project(services, identity, project_id)
    page = await pages.shell(request, identity, "two_way")
    _ = pages.translated(page)
    resync_id = asked.number_of(number)
    try:
        async with services.database() as connection:
            await acting.cancel_resync(connection, identity, project, resync_id or 0)
    except ProblemError as problem:
        if problem.status != 409:
            raise
        return flash.redirect(page.link(LIST), _("It is over already: nothing was cancelled."), "note")
    return flash.redirect(page.link(LIST), _("Full resync %(number)s is cancelled.") % {"number": number})


@router.post("/sync/consistency")
async def compare(request: Request, identity: Admin) -> Response:
    """Compare both sides of a project now, as every night."""
    services = services_of(request)
    form = await fields_of(request)
    project = await visible_project(services, identity, form.get("project", ""))
    page = await pages.shell(request, identity, "two_way")
    _ = pages.translated(page)
    try:
        async with services.database() as connection:
            _number, is_new = await acting.start_resync(connection, identity, project, "check")
    except ProblemError as problem:
        return flash.redirect(page.link("/sync/consistency"), pages.said(page, problem), "problem")
    if not is_new:
        text = _("A comparison or a full resync of this project goes already.")
        return flash.redirect(page.link("/sync/consistency"), text, "note")
    return flash.redirect(page.link("/sync/consistency"), _("The comparison waits for a worker: Dagster starts it."))


@router.post("/sync/objects")
async def sync_object(request: Request, identity: Admin) -> Response:
    """Read one order, customer or article again, and send what vms has of it."""
    services = services_of(request)
    form = await fields_of(request)
    project = await visible_project(services, identity, form.get("project", ""))
    page = await pages.shell(request, identity, "two_way")
    _ = pages.translated(page)
    try:
        async with services.database() as connection:
            done = await acting.sync_object(
                connection, identity, project, form.get("kind", ""), form.get("id", ""),
                SIDES.get(form.get("side", "")),
            )  # fmt: skip
    except ProblemError as problem:
        if problem.status not in (400, 404):
            raise
        return await _page(request, identity, problem=pages.said(page, problem), typed=form, status=422)
    told = [_("It is read again from the CRM.")] if done.request_ids else []
    told += [_("What the warehouse system has of it is compared and sent.")] if done.vms_ids else []
    return flash.redirect(page.link(LIST), " ".join(told))


async def _page(
    request: Request,
    identity: Identity,
    *,
    problem: str | None = None,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    page = await pages.shell(request, identity, "two_way")
    cursor = asked.cursor_of(page.query)
    async with services_of(request).database() as connection:
        ids = await two_way_ids(connection, page)
        going = {row.project_id: row for row in await resyncs.under_way(connection, ids)}
        found = await resyncs.page(connection, pages.visible_ids(page), before_id=cursor.before_id, limit=PAST_ROWS + 1)
        context = await around(connection, page, "resyncs")
    rows = asked.rows_of(found, [row.resync_id for row in found], cursor, PAST_ROWS)
    startable = [name for name in ids if takes_changes(page.projects[name].crm)]
    context |= {
        "projects": startable, "going": going, "paces": {row.resync_id: pace(row) for row in going.values()},
        "rows": rows, "problem": problem, "typed": typed or {}, "kinds": tuple(ENTITY_OF), "found_of": found_of,
        "stages": reading.STAGES,
    }  # fmt: skip
    if request.headers.get("x-part") == "resyncs":
        return pages.part(request, page, "two_way/resyncs.html", "resyncs_body", **context)
    return pages.answer(request, page, "two_way/resyncs.html", status=status, **context)


def pace(row: ResyncRow) -> reading.ResyncPace:
    began = row.stage_started_at
    return reading.pace_of(row, None if began is None else (datetime.now(UTC) - began).total_seconds())


def found_of(row: ResyncRow) -> dict[str, Any]:
    """What it found, by kind of object."""
    found: dict[str, Any] = row.position.get("found", {})
    return found
