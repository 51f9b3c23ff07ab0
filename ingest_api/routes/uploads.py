"""CSV files: land one, import it or leave it to the relay, tell how far it is, give its report.

These routes take what the project's webhooks take as proof. What is read from them is personal data, so a project whose
webhooks need no proof may upload, but asks for reports by the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from connectors.csv import report
from database.repositories import csv_imports
from database.repositories.csv_imports import CsvImport, ErrorRow
from ingest_api.authenticate import find_project, read_authentic
from ingest_api.problems import ProblemError, database_away
from ingest_api.projects import Project
from ingest_api.requests import BodyReader
from ingest_api.services import Services, services_of
from sync import csv_import
from web.answers import json_answer
from web.files import FORM_BYTES, file_of

INLINE_BYTES = 1024 * 1024
"""A larger file is imported by the relay, and its upload answered 202."""
INLINE_SECONDS = 20.0
"""An import that takes longer is left to the relay."""
_DELAY_SECONDS = 60.0
"""How long the relay leaves a small upload to this process, which may have died over it."""
_DRAIN_BYTES = 64 * 1024 * 1024
_BODY_SECONDS = 120.0
_ERRORS_SHOWN = 100
_PAGE = 1000

router = APIRouter(prefix="/uploads/csv", tags=["uploads"])
log = structlog.get_logger()

_TOO_LARGE = "A CSV file may have at most 10 MB: split it and upload its parts."
_bodies = BodyReader(csv_import.MOST_BYTES + FORM_BYTES, _TOO_LARGE, seconds=_BODY_SECONDS, drain_bytes=_DRAIN_BYTES)
_FILE_BODY = {
    "requestBody": {
        "description": "The file, at most 10 MB: as the multipart field `file`, or as the body itself.",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            },
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("/{project_id}", openapi_extra=_FILE_BODY)
async def upload(request: Request, project_id: str) -> Response:
    """Land a CSV file of sales: 200 with its report, or 202 with where to ask if it is over 1 MB."""
    services = services_of(request)
    project, body = await _authorise(request, project_id)
    sent = await file_of(body, request.headers.get("content-type", ""), request.query_params.get("filename"))
    content = sent.content
    if len(content) > csv_import.MOST_BYTES:
        raise ProblemError(413, "too_large", _TOO_LARGE)
    is_small = len(content) <= INLINE_BYTES
    try:
        async with services.connections.connection() as connection:
            upload_id = await csv_import.land(
                connection,
                project.project_id,
                content,
                filename=sent.filename,
                origin="http",
                delay_seconds=_DELAY_SECONDS if is_small else 0.0,
            )
    except Exception as error:
        raise _database_away(error) from error
    log.info("csv_uploaded", project=project.project_id, upload=upload_id, bytes=len(content))
    if is_small:
        await _import(services, upload_id)
    job, errors = await _state(services, project, upload_id)
    if job.state == "failed":
        raise ProblemError(
            400, "unreadable", job.error_message or "The file cannot be read.",
            upload_id=upload_id, status_url=_path(job),
        )  # fmt: skip
    if job.state == "done":
        return json_answer(_described(job, errors))
    return json_answer(_described(job, errors), status=202, location=_path(job), retry_after=2)


@router.get("/{project_id}/{upload_id}")
async def state(request: Request, project_id: str, upload_id: int) -> Response:
    """How far the import of an upload is, and what it came to."""
    project, _ = await _authorise(request, project_id, reads=True)
    job, errors = await _state(services_of(request), project, upload_id)
    return json_answer(_described(job, errors))


@router.get("/{project_id}/{upload_id}/report")
async def download_report(request: Request, project_id: str, upload_id: int) -> Response:
    """The rows that were no sales, as CSV with the reasons; 202 while the import is under way."""
    services = services_of(request)
    project, _ = await _authorise(request, project_id, reads=True)
    job, errors = await _state(services, project, upload_id)
    if job.state not in ("done", "failed"):
        return json_answer(_described(job, errors), status=202, location=_path(job), retry_after=2)
    return StreamingResponse(
        _report(services, job),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="import-{upload_id}.csv"'},
    )


async def _authorise(request: Request, project_id: str, *, reads: bool = False) -> tuple[Project, bytes]:
    services = services_of(request)
    project = await find_project(services.projects, csv_import.CRM, project_id)
    project, body = await read_authentic(services.projects, _bodies, project, request)
    if reads and project.auth.scheme == "none":
        raise ProblemError(
            401, "not_authentic",
            "This project's uploads need no proof, so their reports are not given over HTTP: set webhook.auth.",
        )  # fmt: skip
    return project, body


async def _import(services: Services, upload_id: int) -> None:
    """Import a small file now. Whatever keeps it from being done leaves it to the relay."""
    try:
        async with asyncio.timeout(INLINE_SECONDS), services.imports.connection() as connection:
            await csv_import.run_upload(connection, upload_id)
    except Exception as error:  # noqa: BLE001 - the file is durable: what is told is how far its import is
        log.warning("csv_import_left_to_relay", upload=upload_id, kind=type(error).__name__)


async def _state(services: Services, project: Project, upload_id: int) -> tuple[CsvImport, list[ErrorRow]]:
    try:
        async with services.connections.connection() as connection:
            job = None
            if 0 < upload_id < 2**63:
                job = await csv_imports.get(connection, project.project_id, upload_id)
            if job is not None:
                errors = await csv_imports.errors(connection, job.project_id, upload_id, limit=_ERRORS_SHOWN)
    except Exception as error:
        raise _database_away(error) from error
    if job is None:
        raise ProblemError(404, "unknown_upload", f"This project has no upload {upload_id}.")
    return job, errors


def _described(job: CsvImport, errors: list[ErrorRow]) -> dict[str, Any]:
    return {**csv_import.describe(job, errors), "status_url": _path(job), "report_url": f"{_path(job)}/report"}


def _path(job: CsvImport) -> str:
    return f"{router.prefix}/{job.project_id}/{job.upload_id}"


async def _report(services: Services, job: CsvImport) -> AsyncIterator[str]:
    yield report.BOM
    async for rows in csv_import.report_pages(services.connections.connection, job, _PAGE):
        yield report.write_report(rows, job.delimiter or ",")


def _database_away(error: Exception) -> ProblemError:
    log.warning("csv_upload_failed", kind=type(error).__name__)
    return database_away()
