"""`/integrations/{project}/webhooks`: the address to copy, a new secret, statistics, the last payloads masked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dashboard.guard import Admin, Viewer
from dashboard.integrations import acting, reading
from dashboard.integrations.frame import Frame, frame
from dashboard.services import environment_of, services_of
from dashboard.ui import flash
from dashboard.ui.pages import translated
from database.repositories import credentials, webhook_statistics
from web.problems import ProblemError

PAYLOADS = 20

router = APIRouter(prefix="/integrations", include_in_schema=False)


@router.get("/{project_id}/webhooks")
async def webhooks_page(
    request: Request, identity: Viewer, project_id: str, after: Annotated[int | None, Query(ge=1, lt=2**63)] = None
) -> Response:
    return await _page(request, await frame(request, identity, project_id), after=after)


@router.post("/{project_id}/webhooks/secret")
async def new_secret(request: Request, identity: Admin, project_id: str) -> Response:
    """The page with the new secret, this once: no redirect could carry it."""
    made = await frame(request, identity, project_id)
    try:
        secret, address = await acting.new_secret(request, identity, made.row)
    except ProblemError as problem:
        if problem.status not in (409, 422):
            raise
        return flash.redirect(f"{made.base}/webhooks", translated(made.page)(problem.detail), "problem")
    return await _page(request, await frame(request, identity, project_id), secret=secret, address=address)


@router.post("/{project_id}/webhooks/register")
async def register(request: Request, identity: Admin, project_id: str) -> Response:
    made = await frame(request, identity, project_id)
    try:
        said = await acting.register(request, identity, made.row)
    except ProblemError as problem:
        if problem.status not in (422, 504):
            raise
        return flash.redirect(f"{made.base}/webhooks", translated(made.page)(problem.detail), "problem")
    return flash.redirect(f"{made.base}/webhooks", said, "note")


async def _page(
    request: Request, made: Frame, *, after: int | None = None, secret: str | None = None, address: str | None = None
) -> Response:
    project_id = made.row.project_id
    payloads: list[webhook_statistics.Payload] = []
    async with services_of(request).database() as connection:
        statistics = await webhook_statistics.read(connection, project_id)
        stored = await credentials.describe(connection, project_id)
        if not made.capabilities.is_medical:  # of health data not even masked payloads are shown
            payloads = await webhook_statistics.newest_payloads(
                connection, project_id, before_id=after, limit=PAYLOADS + 1
            )
    return made.answer(
        request, "webhooks.html", tab="webhooks", statistics=statistics,
        webhook=reading.webhook_address(made.row, environment_of(request), stored),
        schemes_with_secret=acting.SCHEMES_WITH_SECRET, new_secret=secret, new_address=address,
        payloads=[reading.masked(made.row, payload) for payload in payloads[:PAYLOADS]],
        next=payloads[PAYLOADS - 1].event_id if len(payloads) > PAYLOADS else None, is_first=after is None,
    )  # fmt: skip
