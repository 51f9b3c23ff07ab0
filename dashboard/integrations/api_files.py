"""`/api/integrations/{project}/uploads*`: CSV files and their reports."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from dashboard import cursors
from dashboard.guard import Admin, Viewer
from dashboard.integrations import answers, files, schemas
from dashboard.integrations.api import After, project_of
from dashboard.openapi import refusals
from dashboard.services import services_of
from database.repositories import csv_imports

router = APIRouter(prefix=answers.PREFIX)

_FILE_BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": "filename",
            "in": "query",
            "schema": {"type": "string"},
            "description": "What the file is called, where it is the body itself.",
        }
    ],
    "requestBody": {
        "description": "The file, at most 10 MB: as the multipart field `file`, or as the body itself.",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            },
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
        },
    },
}
_REPORT_EXAMPLE = "row,reason,date,customer_phone,amount,description\r\n3,the amount is empty,2026-11-20,,,Haircut\r\n"
_REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "CSV; UTF-8 with a byte order mark.",
        "content": {"text/csv": {"schema": {"type": "string"}, "example": _REPORT_EXAMPLE}},
    },
    **refusals({409: ("under_way", "The import is under way: its report comes when it has ended.")}),
}
_UNDER_WAY: dict[int | str, dict[str, Any]] = {
    202: {"model": schemas.UploadModel, "description": "Kept, and being imported: `location` says where to ask."},
}
_REFUSED = refusals({413: ("too_large", files.TOO_LARGE), 422: ("no_file", "Choose a file that is not empty.")})


@router.get("/{project_id}/uploads", summary="Uploads")
async def list_uploads(
    request: Request, identity: Viewer, project_id: str, after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> schemas.UploadList:  # fmt: skip
    """The newest first, without their rows."""
    files.require_csv(await project_of(request, identity, project_id))
    async with services_of(request).database() as connection:
        jobs = await csv_imports.newest(connection, project_id, before_id=cursors.id_of(after), limit=limit + 1)
    shown = jobs[:limit]
    return schemas.UploadList(
        items=[answers.upload(job, []) for job in shown],
        next=str(shown[-1].upload_id) if len(jobs) > limit else None,
    )


@router.post(
    "/{project_id}/uploads", status_code=201, summary="Upload a CSV file",
    responses={**_UNDER_WAY, **_REFUSED},
    openapi_extra=_FILE_BODY,
)  # fmt: skip
async def upload(request: Request, response: Response, identity: Admin, project_id: str) -> schemas.UploadModel:
    """201 with the report; 202 if the import is under way, with where to ask in `location`."""
    row = await project_of(request, identity, project_id)
    files.require_csv(row)
    job = await files.take(request, identity, row, await files.read_file(request))
    response.headers["location"] = f"{answers.PREFIX}/{project_id}/uploads/{job.upload_id}"
    if job.state in ("queued", "running"):
        response.status_code = 202
        response.headers["retry-after"] = "2"
    return answers.upload(*await files.state(request, row, job.upload_id))


@router.get("/{project_id}/uploads/{upload_id}", summary="How far an upload is")
async def one_upload(request: Request, identity: Viewer, project_id: str, upload_id: int) -> schemas.UploadModel:
    """Counts, and the first 100 rows that were no sales, with the reasons."""
    row = await project_of(request, identity, project_id)
    files.require_csv(row)
    return answers.upload(*await files.state(request, row, upload_id))


@router.get(
    "/{project_id}/uploads/{upload_id}/report",
    summary="The report as a file",
    responses=_REPORT,
    response_class=Response,
)
async def report(request: Request, identity: Admin, project_id: str, upload_id: int) -> Response:
    """All rows that were no sales, as CSV with the reasons. It has what the rows had: personal data, for admins."""
    row = await project_of(request, identity, project_id)
    files.require_csv(row)
    return files.report_answer(request, (await files.state(request, row, upload_id))[0])
