"""CSV files: take one, import a small one at once, leave a large one to the relay, give the report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import structlog
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from connectors.csv import report
from dashboard import deeds
from dashboard.identity import Identity
from dashboard.services import environment_of, services_of
from database.connection import Connection, connect
from database.repositories import csv_imports
from database.repositories.csv_imports import CsvImport, ErrorRow
from database.repositories.settings import ProjectRow
from database.server import ensure_url
from sync import csv_import
from web.files import FORM_BYTES, SentFile, file_of, read_body
from web.problems import ProblemError

INLINE_BYTES = 1024 * 1024
"""A larger file is imported by the relay, while the page shows how far it is."""
INLINE_SECONDS = 20.0
ERRORS_SHOWN = 100
_DELAY_SECONDS = 60.0
"""How long the relay leaves a small file to this process, which may have died over it."""
_PAGE = 1000
MOST_BODY = csv_import.MOST_BYTES + FORM_BYTES
TOO_LARGE = "A CSV file may have at most 10 MB: split it and upload its parts."

log = structlog.get_logger()


def require_csv(row: ProjectRow) -> None:
    """Raises ProblemError, 404, for a project that takes no files."""
    if row.crm != csv_import.CRM:
        raise ProblemError(404, "no_files", f"{row.crm} has an API: files go to projects of csv.")


async def read_file(request: Request) -> SentFile:
    """The file that a request brings, within limits. Raises ProblemError: 400, 408, 413."""
    body = await read_body(request, MOST_BODY, TOO_LARGE)
    return await file_of(body, request.headers.get("content-type", ""), request.query_params.get("filename"))


async def take(request: Request, identity: Identity, row: ProjectRow, sent: SentFile) -> CsvImport:
    """Keep a file and import it, if it is small; how far that is. Raises ProblemError."""
    if len(sent.content) > csv_import.MOST_BYTES:
        raise ProblemError(413, "too_large", TOO_LARGE)
    if not sent.content.strip():
        raise ProblemError(422, "no_file", "Choose a file that is not empty.")
    is_small = len(sent.content) <= INLINE_BYTES
    async with services_of(request).database() as connection:
        upload_id = await csv_import.land(
            connection, row.project_id, sent.content, filename=sent.filename, origin="http",
            delay_seconds=_DELAY_SECONDS if is_small else 0.0,
        )  # fmt: skip
        await deeds.note(
            connection, identity, row.project_id, deeds.UPLOAD,
            upload=upload_id, filename=sent.filename, bytes=len(sent.content),
        )  # fmt: skip
    log.info("csv_uploaded", project=row.project_id, upload=upload_id, bytes=len(sent.content))
    if is_small:
        await _import(request, upload_id)
    return (await state(request, row, upload_id))[0]


async def state(request: Request, row: ProjectRow, upload_id: int) -> tuple[CsvImport, list[ErrorRow]]:
    """An upload and the first of its rows that are no sales. Raises ProblemError, 404."""
    async with services_of(request).database() as connection:
        job = None
        if 0 < upload_id < 2**63:
            job = await csv_imports.get(connection, row.project_id, upload_id)
        if job is None:
            raise ProblemError(404, "unknown_upload", "This project has no such upload.")
        return job, await csv_imports.errors(connection, row.project_id, upload_id, limit=ERRORS_SHOWN)


def report_answer(request: Request, job: CsvImport) -> Response:
    """The rows that were no sales, with the reasons, as a file: personal data, for those who correct them."""
    if job.state not in ("done", "failed"):
        raise ProblemError(
            409, "under_way", "The import is under way: its report comes when it has ended.", word="retry"
        )

    @asynccontextmanager
    async def database() -> AsyncIterator[Connection]:
        async with services_of(request).database() as connection:
            yield connection

    async def lines() -> AsyncIterator[str]:
        yield report.BOM
        async for rows in csv_import.report_pages(database, job, _PAGE):
            yield report.write_report(rows, job.delimiter or ",")

    return StreamingResponse(
        lines(),
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="import-{job.upload_id}.csv"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )


async def _import(request: Request, upload_id: int) -> None:
    """Import a small file now. Whatever keeps it from being done leaves it to the relay."""
    try:
        url = await asyncio.to_thread(ensure_url, environment_of(request))
        async with asyncio.timeout(INLINE_SECONDS), await connect(url, application="crm-elt dashboard import") as own:
            await csv_import.run_upload(own, upload_id)
    except (psycopg.Error, TimeoutError, OSError) as error:  # the file is durable: the page shows how far it is
        log.warning("csv_import_left_to_relay", upload=upload_id, kind=type(error).__name__)
