"""`/integrations/{project}/files`: CSV files of a project, and what was wrong with their rows."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard import guard
from dashboard.cookies import CSRF_FIELD
from dashboard.guard import Admin, FormSender, Viewer
from dashboard.integrations import acting, files
from dashboard.integrations.frame import Frame, frame
from dashboard.integrations.reading import webhook_address
from dashboard.services import environment_of, services_of
from dashboard.ui import flash
from dashboard.ui.pages import translated
from database.repositories import credentials, csv_imports
from sync import csv_import
from web.files import chosen_file, form_of, read_body
from web.problems import ProblemError

router = APIRouter(prefix="/integrations", include_in_schema=False)


@router.get("/{project_id}/files")
async def files_page(request: Request, identity: Viewer, project_id: str) -> Response:
    made = await frame(request, identity, project_id)
    files.require_csv(made.row)
    return await _page(request, made)


@router.post("/{project_id}/files")
async def upload(request: Request, identity: FormSender, project_id: str) -> Response:
    made = await frame(request, identity, project_id)
    files.require_csv(made.row)
    _ = translated(made.page)
    body = await read_body(request, files.MOST_BODY, files.TOO_LARGE)
    form = await form_of(body, request.headers.get("content-type", ""))
    guard.require_proof(request, identity, form.fields.get(CSRF_FIELD))
    try:
        job = await files.take(request, identity, made.row, chosen_file(form))
    except ProblemError as problem:
        if problem.status not in (400, 413, 422):
            raise
        return await _page(request, made, status=422, problem=_(problem.detail))
    where = f"{made.base}/files/{job.upload_id}"
    if job.state == "done":
        return flash.redirect(where, _("The file was imported."), "note" if job.errors else "done")
    if job.state == "failed":
        return flash.redirect(where, _("The file was refused."), "problem")
    return flash.redirect(where, _("The file is being imported."), "note")


@router.get("/{project_id}/files/{upload_id}")
async def upload_page(request: Request, identity: Viewer, project_id: str, upload_id: int) -> Response:
    made = await frame(request, identity, project_id)
    files.require_csv(made.row)
    job, errors = await files.state(request, made.row, upload_id)
    return made.answer(
        request, "file.html", tab="files", job=job, errors=errors, told=csv_import.describe(job, errors),
        most_shown=files.ERRORS_SHOWN,
    )  # fmt: skip


@router.get("/{project_id}/files/{upload_id}/report")
async def report(request: Request, identity: Admin, project_id: str, upload_id: int) -> Response:
    made = await frame(request, identity, project_id)
    files.require_csv(made.row)
    return files.report_answer(request, (await files.state(request, made.row, upload_id))[0])


async def _page(request: Request, made: Frame, *, status: int = 200, problem: str | None = None) -> Response:
    async with services_of(request).database() as connection:
        jobs = await csv_imports.newest(connection, made.row.project_id)
        stored = await credentials.describe(connection, made.row.project_id)
    return made.answer(
        request, "files.html", tab="files", status=status, problem=problem, jobs=jobs,
        webhook=webhook_address(made.row, environment_of(request), stored),
        schemes_with_secret=acting.SCHEMES_WITH_SECRET, new_secret=None, new_address=None,
    )  # fmt: skip
