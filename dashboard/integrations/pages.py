"""`/integrations` and the first page of a project: how it fares, test, sync now, enable and disable, the log."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from dashboard.guard import Admin, Viewer
from dashboard.integrations import acting, charts, reading, sentences
from dashboard.integrations.frame import AREA, frame, path_of
from dashboard.services import environment_of, services_of
from dashboard.ui import flash, pages
from dashboard.ui.docs_links import model_page
from dashboard.ui.pages import said, translated
from database.repositories import integrations, logs, settings
from database.repositories.logs import Level
from web.problems import ProblemError

PAGE = 100
LEVELS: tuple[Level, ...] = get_args(Level)
MODEL = "integration_statistics"

router = APIRouter(prefix="/integrations", include_in_schema=False)


@router.get("")
async def overview(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, AREA)
    async with services_of(request).database() as connection:
        rows = [row for row in await settings.list_projects(connection) if row.project_id in page.scope]
        found = await integrations.statistics(connection, [row.project_id for row in rows])
    rows.sort(key=lambda row: (row.is_enabled, row.name.casefold(), row.project_id))
    return pages.answer(
        request, page, "integrations/list.html", rows=rows, statistics=found or {}, is_built=found is not None,
        docs=_docs(request), path_of=path_of,
    )  # fmt: skip


@router.get("/{project_id}")
async def project(request: Request, identity: Viewer, project_id: str) -> Response:
    made = await frame(request, identity, project_id)
    async with services_of(request).database() as connection:
        found = await integrations.statistics(connection, [project_id])
        days = await integrations.run_days(connection, project_id, made.row.timezone)
        runs = await integrations.newest_runs(connection, project_id)
        under_way = await integrations.sync_under_way(connection, project_id)
    return made.answer(
        request, "overview.html", tab="overview", statistics=(found or {}).get(project_id), is_built=found is not None,
        charts=charts.run_charts(days, made.page.language), runs=runs, under_way=under_way,
        meaning=lambda word: sentences.meaning_of(word, made.page.language), docs=_docs(request),
    )  # fmt: skip


@router.post("/{project_id}/test")
async def test(request: Request, identity: Admin, project_id: str) -> Response:
    made = await frame(request, identity, project_id)
    _ = translated(made.page)
    try:
        trial = await acting.test(request, identity, made.row)
    except ProblemError as problem:
        return flash.redirect(made.base, _("The test failed: %(reason)s") % {"reason": _(problem.detail)}, "problem")
    message = trial.health.message.removesuffix(".")
    if not trial.health.ok:
        return flash.redirect(made.base, _("The test failed: %(reason)s") % {"reason": f"{message}."}, "problem")
    works = _("The connection works: %(message)s.") % {"message": message}
    return flash.redirect(made.base, f"{works} {_('The project is enabled now.')}" if trial.is_enabled_now else works)


@router.post("/{project_id}/state")
async def set_state(
    request: Request, identity: Admin, project_id: str,
    enabled: Annotated[bool, Form()], reason: Annotated[str, Form(max_length=2000)] = "",
) -> Response:  # fmt: skip
    made = await frame(request, identity, project_id)
    _ = translated(made.page)
    try:
        await acting.set_state(request, identity, made.row, enabled=enabled, reason=reason)
    except ProblemError as problem:
        if problem.status not in (409, 422):
            raise
        return flash.redirect(f"{made.base}/access", said(made.page, problem), "problem")
    done = _("%(name)s is enabled.") if enabled else _("%(name)s is disabled.")
    return flash.redirect(f"{made.base}/access", done % {"name": made.row.name})


@router.post("/{project_id}/syncs")
async def start_sync(
    request: Request, identity: Admin, project_id: str,
    since: Annotated[str, Form(max_length=40)] = "", full: Annotated[bool, Form()] = False,
) -> Response:  # fmt: skip
    """Queue it, and show how far it is."""
    made = await frame(request, identity, project_id)
    try:
        request_id = await acting.queue_sync(request, identity, made.row, since=since.strip() or None, full=full)
    except ProblemError as problem:
        if problem.status != 422:
            raise
        return flash.redirect(made.base, translated(made.page)(problem.detail), "problem")
    return Response(
        status_code=303, headers={"location": f"{made.base}/syncs/{request_id}", "cache-control": "no-store"}
    )


@router.get("/{project_id}/syncs/{request_id}")
async def sync_page(request: Request, identity: Viewer, project_id: str, request_id: int) -> Response:
    made = await frame(request, identity, project_id)
    async with services_of(request).database() as connection:
        state = await reading.sync_state(connection, project_id, request_id)
    if state is None:
        raise ProblemError(404, "unknown_request", "This project has no such synchronisation.")
    language = made.page.language
    return made.answer(
        request, "sync.html", tab="overview", state=state, sentence=sentences.sync_sentence(state, language),
        meaning=lambda word: sentences.meaning_of(word, language),
    )  # fmt: skip


@router.get("/{project_id}/logs")
async def log_page(
    request: Request, identity: Viewer, project_id: str, level: str = "",
    after: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:  # fmt: skip
    made = await frame(request, identity, project_id)
    chosen = next((one for one in LEVELS if one == level), None)
    async with services_of(request).database() as connection:
        entries = await logs.newest(connection, project_id, level=chosen, before_id=after, limit=PAGE + 1)
    return made.answer(
        request, "logs.html", tab="logs", found=entries[:PAGE], level=chosen or "", levels=LEVELS,
        next=entries[PAGE - 1].log_id if len(entries) > PAGE else None, is_first=after is None,
        meaning=lambda word: sentences.meaning_of(word, made.page.language),
    )  # fmt: skip


def _docs(request: Request) -> str:
    return model_page(environment_of(request), MODEL)
