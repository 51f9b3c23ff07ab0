"""The landing routes. They are plain ASGI endpoints without dependency injection: this is the hot path.

Checks come in this order: project, size, authenticity, readability. An authentic webhook that cannot be read is kept in
raw.rejected before it is answered 400.
"""

from __future__ import annotations

import hashlib

import structlog
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connectors.errors import WebhookUnreadableError
from connectors.protocol import WebhookRequest
from database.repositories.landing import RejectedRow, WebhookRow
from ingest_api import requests
from ingest_api.authenticate import find_project, refusal_of, secret_unreadable, verify_again, without_secrets
from ingest_api.landing import DatabaseAwayError, ProjectBusyError, QueueFullError, RowRefusedError
from ingest_api.problems import ProblemError, send_problem
from ingest_api.projects import Project
from ingest_api.services import Services

_JSON = (b"content-type", b"application/json")
_METHODS = ["POST", "GET"]
_REASON_LENGTH = 500
_NOTHING = "{}"

log = structlog.get_logger()


class WebhookEndpoint:
    """Lands one webhook. The path may name the CRM, the project and the event; the query may name the project."""

    def __init__(self, crm: str | None = None) -> None:
        self._crm = crm
        self._services: Services | None = None

    def bind(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        services = self._services
        assert services is not None
        services.metrics.received += 1
        try:
            event_id = await self._land(services, scope, receive)
        except ProblemError as problem:
            services.metrics.refused[problem.code] += 1
            if problem.status == 404:
                services.refusals.note("", problem.code, problem.detail)
            await send_problem(send, problem)
            return
        except requests.ClientGoneError:
            services.metrics.refused["client_gone"] += 1
            return
        services.metrics.accepted += 1
        content = b'{"status":"accepted","event_id":%d}' % event_id
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [_JSON, (b"content-length", b"%d" % len(content))],
            }
        )
        await send({"type": "http.response.body", "body": content})

    async def _land(self, services: Services, scope: Scope, receive: Receive) -> int:
        path = scope["path_params"]
        query = requests.read_query(scope["query_string"])
        project_id = path.get("project") or query.get("project")
        if not project_id:
            raise ProblemError(404, "unknown_project", "The address names no project: add ?project=NAME.")
        crm = self._crm or path["crm"]
        project = services.projects.peek(project_id)
        if project is None or project.crm != crm:
            project = await find_project(services.projects, crm, project_id)
        event_name = path.get("event")
        if event_name is not None and event_name not in project.connector.capabilities.webhook_events:
            raise ProblemError(404, "unknown_event", f"{project.crm} has no webhook of this name; check the address.")
        headers = requests.read_headers(scope)
        try:
            body = await services.bodies.read(headers, receive)
            client = scope["client"]
            request = WebhookRequest(
                scope["method"], headers, query, body, event_name, client[0] if client is not None else None
            )
            refusal = refusal_of(project, request)
            if refusal is not None:
                project = await verify_again(services.projects, project, request, refusal)
        except ProblemError as problem:
            services.refusals.note(project.project_id, problem.code, problem.detail)
            raise
        return await _keep(services, project, request)


async def _keep(services: Services, project: Project, request: WebhookRequest) -> int:
    """Land an authentic webhook; its event id once it is durable."""
    if project.problem is not None:  # a payload that is read with a wrong salt cannot be mended later
        raise secret_unreadable()
    secret = project.auth.secret
    headers = requests.stored_headers(request.headers, project.auth.header, secret)
    query = requests.stored_query(request.query, secret)
    try:
        text = _read(project, request, query)
        encoded = text.encode()
    except (WebhookUnreadableError, UnicodeError) as error:
        reason = "It is no Unicode text." if isinstance(error, UnicodeError) else str(error)
        await _reject(services, project, request, headers, query, reason)
        told = reason.removesuffix(".")
        raise ProblemError(400, "unreadable", f"The webhook cannot be read and was kept aside: {told}.") from None
    row = WebhookRow(
        project.project_id,
        project.crm,
        request.event_name or "",
        request.headers.get("content-type", ""),
        hashlib.sha256(encoded).digest(),
        headers,
        query,
        requests.address(request.remote_address),
        text,
    )
    if project.connector.capabilities.is_medical:  # nothing but what the connector let through
        row = row._replace(headers=_NOTHING, query=_NOTHING, content_type="")
    try:
        return await services.landing.submit(row, len(encoded))
    except RowRefusedError as error:
        services.refusals.note(project.project_id, "unreadable", str(error))
        raise ProblemError(400, "unreadable", f"The webhook cannot be stored and was kept aside: {error}.") from None
    except (DatabaseAwayError, QueueFullError, ProjectBusyError) as error:
        raise _not_landed(services, project, error) from None


def _read(project: Project, request: WebhookRequest, stored_query: str) -> str:
    """The payload as text. Raises WebhookUnreadableError."""
    if request.method == "GET":
        request = without_secrets(request, requests.decode_query(stored_query))
    try:
        return project.connector.check_webhook(request, project.context)
    except WebhookUnreadableError:
        raise
    except Exception as error:  # noqa: BLE001 - a payload that breaks the reader is kept like any other
        log.warning("check_webhook_failed", project=project.project_id, kind=type(error).__name__)
        raise WebhookUnreadableError(f"reading it failed with {type(error).__name__}.") from None


async def _reject(
    services: Services, project: Project, request: WebhookRequest, headers: str, query: str, reason: str
) -> None:
    body = request.body if request.body or request.method != "GET" else query.encode()
    content_type = request.headers.get("content-type", "")
    if project.connector.capabilities.is_medical:
        reason = f"{reason.removesuffix('.')}. Its {len(body)} bytes are health data and were not kept."
        body, headers, content_type = b"", _NOTHING, ""
    row = RejectedRow(
        project.project_id,
        project.crm,
        reason.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:_REASON_LENGTH],
        content_type,
        headers,
        requests.address(request.remote_address),
        body,
    )
    services.refusals.note(project.project_id, "unreadable", row.reason)
    try:
        await services.landing.submit(row, len(body))
    except (DatabaseAwayError, QueueFullError, ProjectBusyError) as error:
        raise _not_landed(services, project, error) from None


def _not_landed(services: Services, project: Project, error: Exception) -> ProblemError:
    if isinstance(error, ProjectBusyError):
        problem = ProblemError(429, "project_busy", str(error), retry_after=2)
    elif isinstance(error, QueueFullError):
        problem = ProblemError(503, "overloaded", str(error), retry_after=2)
    else:
        problem = ProblemError(503, "database_away", str(error), retry_after=5)
    services.refusals.note(project.project_id, problem.code, problem.detail)
    return problem


def webhook_routes(endpoints: list[WebhookEndpoint]) -> list[BaseRoute]:
    """The routes; their endpoints are added to the list, to be bound when the application starts."""
    by_path, by_event = WebhookEndpoint(), WebhookEndpoint("keycrm")
    endpoints += [by_path, by_event]
    routes = [
        Route("/webhooks/{crm}/{project}", by_path, methods=_METHODS),
        Route("/webhooks/{crm}", by_path, methods=_METHODS),
        Route("/api/webhooks/{crm}", by_path, methods=_METHODS),
        Route("/api/keycrm/webhook/{event}", by_event, methods=_METHODS),
    ]
    for route in routes:
        route.methods = set(_METHODS)  # Starlette adds HEAD to GET, but asking must not land anything
    return [*routes]
