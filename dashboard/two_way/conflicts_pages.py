"""`/sync/conflicts`: fields that both sides changed, side by side, for a person to decide."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.guard import Admin, Viewer, visible_project
from dashboard.identity import Identity
from dashboard.services import Services, services_of
from dashboard.two_way import acting, asked, privacy
from dashboard.two_way.pages import around
from dashboard.ui import flash, pages
from dashboard.ui.forms import fields_of
from dashboard.ui.pages import Shell
from database.repositories import conflicts
from database.repositories.conflicts import ConflictRow
from database.repositories.settings import ProjectRow
from sync.two_way.conflicts import Decisions, version
from sync.two_way.objects import ENTITIES, Side
from web.problems import ProblemError

router = APIRouter(include_in_schema=False)

LIST = "/sync/conflicts"
STATES = ("open", "resolved")
SIDES: dict[str, Side] = {"vms": "vms", "crm": "crm"}


@router.get(LIST)
async def conflicts_list(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "two_way")
    cursor = asked.cursor_of(page.query)
    given = page.query.get("state")
    state = None if given == "all" else asked.one_of(given, STATES) or "open"
    entity = asked.one_of(page.query.get("entity"), ENTITIES)
    async with services_of(request).database() as connection:
        found = await conflicts.newest(
            connection, project_ids=pages.visible_ids(page), state=state, entity=entity, before_id=cursor.before_id,
            after_id=cursor.after_id, limit=asked.PAGE_ROWS + 1,
        )  # fmt: skip
        context = await around(connection, page, "conflicts")
    rows = asked.rows_of(found, [row.conflict_id for row in found], cursor)
    context |= {"rows": rows, "state": state or "all", "entity": entity, "entities": ENTITIES}
    return pages.answer(request, page, "two_way/conflicts.html", **context)


@router.get(LIST + "/{number}")
async def conflict_page(request: Request, identity: Viewer, number: str) -> Response:
    return await _page(request, identity, number)


@router.post(LIST + "/{number}")
async def decide(request: Request, identity: Admin, number: str) -> Response:
    """A side for all fields (`all`), or for each that has one (`field.NAME`)."""
    services = services_of(request)
    conflict, _project = await conflict_of(services, identity, number)
    form = await fields_of(request)
    page = await pages.shell(request, identity, "two_way")
    _ = pages.translated(page)
    decisions = decisions_of(form)
    if not decisions:
        return await _page(request, identity, number, problem=_("Choose a side for at least one field."), status=422)
    try:
        async with services.database() as connection:
            now = await acting.decide(connection, identity, conflict, decisions, form.get("seen", ""))
    except ProblemError as problem:
        if problem.status not in (400, 409):
            raise
        return await _page(request, identity, number, problem=_refusal(page, problem), status=problem.status)
    if now.state == "resolved":
        return flash.redirect(page.link(LIST), _("The conflict is resolved: the other side follows within seconds."))
    return flash.redirect(page.link(f"{LIST}/{number}"), _("Decided; the other fields are left to decide."))


async def _page(
    request: Request, identity: Identity, number: str, *, problem: str | None = None, status: int = 200
) -> Response:
    services = services_of(request)
    conflict, project = await conflict_of(services, identity, number)
    page = await pages.shell(request, identity, "two_way")
    async with services.database() as connection:
        context = await around(connection, page, "conflicts")
    context |= {
        "conflict": conflict, "versions": shown_versions(identity, project, conflict), "seen": version(conflict),
        "problem": problem, "resolution": conflict.resolution or {}, "lines_of": lines_of, "moment": moment,
        "is_masked": not identity.is_admin,
    }  # fmt: skip
    return pages.answer(request, page, "two_way/conflict.html", status=status, **context)


async def conflict_of(services: Services, identity: Identity, number: str) -> tuple[ConflictRow, ProjectRow]:
    """The conflict of an address and its project. Raises ProblemError, 404, if there is none that one may see."""
    conflict_id = asked.number_of(number)
    async with services.database() as connection:
        row = None if conflict_id is None else await conflicts.get(connection, conflict_id)
    if row is None or not identity.may_see(row.project_id):
        raise ProblemError(404, "unknown_conflict", "There is no such conflict that you may see.")
    return row, await visible_project(services, identity, row.project_id)


def shown_versions(identity: Identity, project: ProjectRow, conflict: ConflictRow) -> dict[str, dict[str, Any]]:
    """Both versions of each field: whole for who decides, masked for who does not."""
    if identity.is_admin and not privacy.is_medical(project):
        return conflict.fields
    return privacy.masked_versions(conflict.fields)


def decisions_of(form: Mapping[str, str]) -> Decisions | None:
    """What a form decides; None: nothing. A field without a side is left open."""
    if form.get("all") in SIDES:
        return SIDES[form["all"]]
    chosen = {
        name.removeprefix("field."): SIDES[value]
        for name, value in form.items()
        if name.startswith("field.") and value in SIDES
    }
    return chosen or None


def lines_of(value: Any) -> list[str]:
    """A version as lines of text: an order's lines one by one, all else in one."""
    if isinstance(value, list):
        return [_item(line) if isinstance(line, dict) else str(line) for line in value]
    if isinstance(value, bool):
        return ["✓" if value else "✗"]
    return [] if value is None else [str(value)]


def moment(text: str | None) -> datetime | None:
    """When a side changed, as the conflict keeps it."""
    return None if text is None else datetime.fromisoformat(text)


def _item(line: Mapping[str, Any]) -> str:
    name = " ".join(str(part) for part in (line.get("sku"), line.get("name")) if part)
    text = f"{line.get('quantity')} × {name} · {line.get('price')}"
    return f"{text} − {line['discount']}" if line.get("discount") not in (None, "0.00") else text


def _refusal(page: Shell, problem: ProblemError) -> str:
    _ = pages.translated(page)
    if problem.code == "conflict_changed":
        return _("The conflict has changed since you looked at it. This is what both sides have now: decide again.")
    if problem.code == "conflict_closed":
        return _("This conflict is resolved already: nothing is left to decide.")
    return problem.detail
