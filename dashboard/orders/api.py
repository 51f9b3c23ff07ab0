"""Orders for programs: `/api/orders...`, `/api/dicts/statuses`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from dashboard import etags
from dashboard.guard import Admin, Viewer, visible_project, wanted_projects
from dashboard.identity import Identity
from dashboard.openapi import refusals
from dashboard.orders import answers, export, models, overriding, reading
from dashboard.orders.counting import counting_of
from dashboard.orders.query import OrderFilter, OrderQuery
from dashboard.services import Services, services_of
from database.repositories import order_counts, orders
from database.repositories.order_counts import Counts
from database.repositories.orders import CursorError, Filter, Page, Sort
from web.problems import ProblemError

_NO_STORE = {"cache-control": "no-store"}
_UNKNOWN = refusals({404: ("unknown_order", reading.UNKNOWN)})
_CSV_EXAMPLE = export.lines([export.HEADER, [models.ORDER_EXAMPLE[name] for name in export.HEADER]]).decode()

router = APIRouter(responses=refusals({503: ("not_built", reading.NOT_BUILT)}))

Project = Annotated[str | None, Query(description="The order's project: its number alone may be in several.")]


@router.get("/api/orders", summary="Orders as they are now")
async def list_orders(
    request: Request, response: Response, identity: Viewer, query: Annotated[OrderQuery, Query()]
) -> models.OrdersOut:
    """A page of the orders in a filter, with the clock of each open stage at this instant.

    Each order that stays as it is comes once, however many change between two pages.
    """
    services = services_of(request)
    wanted = await _filter(services, identity, query)
    count = query.cursor is None if query.counts is None else query.counts
    page, counts = await page_and_counts(
        request, wanted, query.sorting(), cursor=query.cursor, limit=query.limit, count=count
    )
    response.headers.update(_NO_STORE)
    return models.OrdersOut(
        items=[answers.order(row) for row in page.orders], next=page.next, previous=page.previous,
        counts=None if counts is None else models.CountsOut(**asdict(counts)),
    )  # fmt: skip


@router.get(
    "/api/orders/export.csv",
    summary="All orders of a filter as CSV",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/csv": {"schema": {"type": "string"}, "example": _CSV_EXAMPLE}},
            "description": "UTF-8 with a byte order mark; the columns are those of `OrderOut`.",
        }
    },
)
async def export_orders(
    request: Request, identity: Viewer, query: Annotated[OrderFilter, Query()]
) -> StreamingResponse:
    """A header, then one line for each order, the newest first by creation; of any size. Sorting is not taken.

    Texts that a spreadsheet would run as formulas begin with an apostrophe.
    """
    services = services_of(request)
    pieces = await export.begin(services, await _filter(services, identity, query))
    name = f"orders-{datetime.now(UTC):%Y-%m-%d-%H%M}.csv"
    headers = {
        **_NO_STORE,
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(pieces, 200, headers, "text/csv; charset=utf-8")


@router.get("/api/orders/{order_id:path}/timeline", summary="One order's history", responses=_UNKNOWN)
async def order_timeline(
    request: Request, response: Response, identity: Viewer, order_id: str, project: Project = None
) -> models.TimelineOut:
    """Every interval with its worked parts, stages with their limits, items, payments, marketing; as of one instant."""
    services = services_of(request)
    row = await visible_project(services, identity, _named(project))
    found = await reading.read_timeline(services, row, order_id)
    response.headers.update(_NO_STORE)
    return answers.timeline(found)


@router.put("/api/orders/{order_id:path}/override", summary="Set an order's urgency", responses=_UNKNOWN)
async def put_override(
    request: Request, identity: Admin, order_id: str, body: models.OverrideIn, project: Project = None
) -> models.OverrideOut:
    """It goes before every rule, at once, and is kept in the audit log."""
    services = services_of(request)
    row = await visible_project(services, identity, _named(project, body.project_id))
    if sentence := overriding.why_unfit(body.reason):
        raise ProblemError(400, "invalid", f"reason: {sentence}")
    made = await overriding.override(
        services, row.project_id, order_id, is_urgent=body.is_urgent, reason=body.reason, actor=identity.actor
    )
    return answers.override(row.project_id, order_id, made)


@router.delete(
    "/api/orders/{order_id:path}/override", summary="Leave an order's urgency to the rules", responses=_UNKNOWN
)
async def delete_override(
    request: Request, identity: Admin, order_id: str, project: Project = None
) -> models.OverrideOut:
    """Nothing to remove is no error."""
    services = services_of(request)
    row = await visible_project(services, identity, _named(project))
    await overriding.remove(services, row.project_id, order_id, actor=identity.actor)
    return answers.override(row.project_id, order_id, None)


@router.get(
    "/api/dicts/statuses",
    summary="Statuses and their groups",
    response_model=models.StatusesOut,
    responses={304: {"description": "Nothing has changed since the given ETag."}},
)
async def statuses(
    request: Request,
    identity: Viewer,
    project: Annotated[list[str] | None, Query()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """What the settings say goes before what the CRM reports. With `If-None-Match` 304 while nothing has changed."""
    services = services_of(request)
    visible = identity.visible(await wanted_projects(services, identity, project or ()))
    found = await reading.names(services, visible)
    answer = models.StatusesOut(
        items=[models.StatusOut(**asdict(row)) for row in found.statuses],
        groups=[models.GroupOut(**asdict(row)) for row in found.groups],
        next=None,
    )
    content = answer.model_dump_json().encode()
    tag = hashlib.sha256(content).hexdigest()[:20]
    headers = {"etag": f'"{tag}"', "cache-control": "private, no-cache"}
    if etags.is_known(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


async def page_and_counts(
    request: Request, wanted: Filter, sort: Sort, *, cursor: str | None, limit: int, count: bool = True
) -> tuple[Page, Counts | None]:
    """Both at once, on a connection each. Raises ProblemError: 400 for a cursor, 503."""
    services = services_of(request)

    async def read() -> Page:
        async with services.database() as connection:
            return await orders.page(connection, wanted, sort, cursor=cursor, limit=limit)

    async def ask() -> Counts:
        async with services.database() as connection:
            return await order_counts.counts(connection, wanted)

    async def counted() -> Counts | None:
        return await counting_of(request).counts(wanted, ask) if count else None

    with reading.marts_needed():
        try:
            page, counts = await asyncio.gather(read(), counted())
        except CursorError as error:
            raise ProblemError(400, "invalid_cursor", f"after: {error}") from None
    return page, counts


async def _filter(services: Services, identity: Identity, query: OrderFilter) -> Filter:
    named = await wanted_projects(services, identity, query.project)
    visible = identity.visible(named)
    projects: Sequence[str] | None = None if visible is None else sorted(visible)
    zone: tzinfo = UTC
    if named is not None and len(named) == 1:
        zone = ZoneInfo((await visible_project(services, identity, next(iter(named)))).timezone)
    return replace(query.filter(projects, zone), hiding=await reading.hidden(services, query, visible))


def _named(*given: str | None) -> str:
    """Raises ProblemError, 400, if no project is named, or two."""
    names = {name for name in given if name}
    if len(names) != 1:
        raise ProblemError(400, "invalid", "project: name the order's project, once.")
    return names.pop()
