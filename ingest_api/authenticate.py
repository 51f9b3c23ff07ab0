"""Finds the project of a request and makes sure that the request comes from who may send it."""

from __future__ import annotations

from dataclasses import replace

import structlog
from fastapi import Request

from connectors.errors import WebhookRefusedError
from connectors.protocol import WebhookRequest
from ingest_api import requests
from ingest_api.problems import ProblemError
from ingest_api.projects import RECHECK_SECONDS, Project, ProjectDirectory, SettingsUnknownError
from ingest_api.requests import BodyReader

log = structlog.get_logger()


async def find_project(projects: ProjectDirectory, crm: str | None, project_id: str) -> Project:
    """`crm` None: whatever its CRM. Raises ProblemError: 404 no such project of that CRM, 503 nothing is known yet."""
    try:
        project = projects.peek(project_id) or await projects.find(project_id)
    except SettingsUnknownError as error:
        raise ProblemError(503, "database_away", str(error), retry_after=2) from None
    if project is None or crm not in (None, project.crm):
        of_crm = "" if crm is None else f" of {_shown(crm)}"
        raise ProblemError(404, "unknown_project", f"There is no project{of_crm} of this name; check the address.")
    return project


def refusal_of(project: Project, request: WebhookRequest) -> str | None:
    """Why the request is not authentic; None if it is."""
    try:
        project.connector.verify_webhook(project.auth, request)
    except WebhookRefusedError as error:
        return str(error).rstrip(".")
    except Exception as error:  # noqa: BLE001 - what cannot even be verified is not authentic
        log.warning("verify_webhook_failed", project=project.project_id, kind=type(error).__name__)
        return "it cannot be verified"
    return None


async def verify_again(projects: ProjectDirectory, project: Project, request: WebhookRequest, refusal: str) -> Project:
    """The project with its newest settings, if the refused request is authentic by them.

    Raises ProblemError: 401 not authentic, 503 the secret cannot be read.
    """
    if projects.age > RECHECK_SECONDS:  # the secret may have been changed in this second
        try:
            await projects.renew(RECHECK_SECONDS)
            newer = await projects.find(project.project_id)
        except SettingsUnknownError:
            newer = None
        if newer is not None and newer.crm == project.crm and newer is not project:
            project = newer
            again = refusal_of(project, request)
            if again is None:
                return project
            refusal = again
    if project.problem is not None:
        raise secret_unreadable()
    raise ProblemError(401, "not_authentic", f"The request is not authentic: {refusal}.")


async def read_authentic(
    projects: ProjectDirectory, bodies: BodyReader, project: Project, request: Request
) -> tuple[Project, bytes]:
    """The project with its newest settings, and the body of a request that proves what the project's webhooks prove.

    Raises ProblemError: 401 not authentic, or as `BodyReader.read`.
    """
    headers = requests.read_headers(request.scope)
    try:
        body = await bodies.read(headers, request.receive)
    except requests.ClientGoneError:
        raise ProblemError(400, "client_gone", "The request ended before it was whole.") from None
    query = requests.read_query(request.scope["query_string"])
    client = request.client
    signed = WebhookRequest(request.method, headers, query, body, None, client.host if client else None)
    refusal = refusal_of(project, signed)
    if refusal is not None:
        project = await verify_again(projects, project, signed, refusal)
    return project, body


def secret_unreadable() -> ProblemError:
    return ProblemError(
        503,
        "secret_unreadable",
        "This project's webhook secret cannot be read at the moment; nothing was stored, send it again later.",
        retry_after=60,
    )


def without_secrets(request: WebhookRequest, query: dict[str, str]) -> WebhookRequest:
    """The same request with another query."""
    return replace(request, query=query)


def _shown(crm: str) -> str:
    return crm if crm.isascii() and crm.isidentifier() and len(crm) <= 32 else "this CRM"
