"""Changes that the warehouse system sends over HTTP: `{entity, op, data}`, written into schema vms before the answer.

They take what the project's webhooks take as proof. A change is kept in raw.webhook_events as crm `vms`, one that is
refused in raw.rejected.
"""

from __future__ import annotations

import hashlib

import psycopg
import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from database.repositories import landing
from database.repositories.landing import RejectedRow, WebhookRow
from ingest_api import requests
from ingest_api.authenticate import find_project, read_authentic, secret_unreadable
from ingest_api.landing import LandingError
from ingest_api.problems import ProblemError, database_away
from ingest_api.projects import Project
from ingest_api.services import Services, services_of
from sync.record_errors import describe, is_of_a_record
from sync.two_way import vms_webhook
from sync.two_way.vms_webhook import Change, RefusedError
from web.answers import json_answer

CRM = "vms"
_REASON_LENGTH = 500
_LOCK_SECONDS = 5
"""A row of vms that somebody writes is waited for so long."""

router = APIRouter(tags=["vms"])
log = structlog.get_logger()


@router.post("/webhooks/vms/{project_id}")
async def change_vms(request: Request, project_id: str) -> Response:
    """Apply one change of the warehouse: entity customer, article, order, order_item, payment or shipment; op create,
    update or delete; data with the columns of its table."""
    services = services_of(request)
    services.metrics.received += 1
    try:
        project = await find_project(services.projects, None, project_id)
        project, body = await read_authentic(services.projects, services.bodies, project, request)
        if project.problem is not None:
            raise secret_unreadable()
        answer = await _apply(services, project, request, body)
    except ProblemError as problem:
        services.metrics.refused[problem.code] += 1
        services.refusals.note("" if problem.status == 404 else project_id, problem.code, problem.detail)
        raise
    services.metrics.accepted += 1
    return answer


async def _apply(services: Services, project: Project, request: Request, body: bytes) -> Response:
    try:
        change = vms_webhook.read(body)
        row = _row(project, request, body, f"{change.entity}.{change.op}")
        event_id, vms_id = await _write(services, project, row, change)
    except RefusedError as error:
        await _reject(services, project, request, body, str(error))
        raise ProblemError(400, "unreadable", str(error)) from None
    return json_answer(
        {"status": "accepted", "event_id": event_id, "entity": change.entity, "op": change.op, "id": vms_id}
    )


async def _write(services: Services, project: Project, row: WebhookRow, change: Change) -> tuple[int, int | None]:
    """Event id, and id of the object in vms. Raises RefusedError for what the database refuses."""
    try:
        async with services.connections.connection() as connection, connection.transaction():
            await connection.execute("select set_config('lock_timeout', %s, true)", [f"{_LOCK_SECONDS}s"])
            event_id = await landing.keep_webhook(connection, row)
            return event_id, await vms_webhook.apply(connection, project.project_id, change)
    except RefusedError:
        raise
    except psycopg.errors.LockNotAvailable:
        raise ProblemError(
            503, "busy", "Somebody else is writing this object; send it again in a moment.", retry_after=2
        ) from None
    except psycopg.errors.ForeignKeyViolation:
        raise RefusedError(
            f"The {change.entity} is in use by others, delete these first."
            if change.op == "delete"
            else "data: it refers to something that is not there."
        ) from None
    except (psycopg.Error, TimeoutError) as error:
        if isinstance(error, psycopg.Error) and is_of_a_record(error):
            raise RefusedError(f"data: it does not fit: {describe(error)}.") from None
        log.warning("vms_change_failed", project=project.project_id, kind=type(error).__name__)
        raise database_away() from error


def _row(project: Project, request: Request, body: bytes, event_name: str) -> WebhookRow:
    headers = requests.read_headers(request.scope)
    query = requests.read_query(request.scope["query_string"])
    secret = project.auth.secret
    return WebhookRow(
        project.project_id,
        CRM,
        event_name,
        headers.get("content-type", ""),
        hashlib.sha256(body).digest(),
        requests.stored_headers(headers, project.auth.header, secret),
        requests.stored_query(query, secret),
        requests.address(request.client.host if request.client else None),
        body.decode(),  # JSON that was read is UTF-8
    )


async def _reject(services: Services, project: Project, request: Request, body: bytes, reason: str) -> None:
    headers = requests.read_headers(request.scope)
    row = RejectedRow(
        project.project_id,
        CRM,
        reason.replace("\0", "\ufffd")[:_REASON_LENGTH],
        headers.get("content-type", ""),
        requests.stored_headers(headers, project.auth.header, project.auth.secret),
        requests.address(request.client.host if request.client else None),
        body,
    )
    try:
        await services.landing.submit(row, len(body))
    except LandingError as error:
        raise ProblemError(503, "database_away", str(error), retry_after=5) from None
