"""`/orders` and one order's timeline, for people."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from dashboard.guard import Admin, Viewer, visible_project
from dashboard.identity import Identity
from dashboard.orders import bars, drawing, hiding, overriding, reading
from dashboard.orders.api import page_and_counts
from dashboard.orders.choices import Choices, choices
from dashboard.orders.query import SAME, PageQuery, days
from dashboard.services import services_of
from dashboard.ui import docs_links, flash, formats, pages
from dashboard.ui.pages import Shell
from database.repositories.orders import DEFAULT_LIMIT, Filter, SortBy
from database.repositories.stage_averages import StageAverage, stage_averages
from web.problems import ProblemError

LIVE = "live"
"""Block and id of the part that follows the stream."""
TIMELINE = "timeline"
_RECENT_DAYS = 30
_SHOWN_STAGES = 8
_MODELS = ("orders_current", "agg_stage_durations", "fct_order_stages", "fct_order_status_intervals")
_LISTED = 200
"""Intervals in the page's table: the newest."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Averages:
    """Of the stages that most orders have left in the period."""

    stages: list[StageAverage]
    is_recent: bool
    """No period was asked for: the last days."""
    days: int = _RECENT_DAYS


@router.get("/orders")
async def order_list(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "orders")
    try:
        query = PageQuery.model_validate(_given(page))
    except ValidationError as error:
        return _refused(request, page, error)
    visible = identity.visible(page.chosen or None)
    zone = _zone(page)
    wanted = replace(
        query.filter(None if visible is None else sorted(visible), zone),
        hiding=await reading.hidden(services_of(request), query, visible),
    )
    is_part = request.headers.get("x-part") == LIVE
    try:
        (found, counts), averages, known = await asyncio.gather(
            page_and_counts(request, wanted, query.sorting(), cursor=query.cursor, limit=DEFAULT_LIMIT),
            _averages(request, wanted, zone),
            _nothing() if is_part else reading.names(services_of(request), visible),
        )
    except ProblemError as problem:
        if problem.code != "invalid_cursor":
            raise
        return RedirectResponse(page.this_page(after=None, before=None), 303)
    context: dict[str, Any] = {
        "orders": found, "counts": counts, "averages": averages, "now": datetime.now(UTC),
        "sla_bar": bars.sla_bar, "due": bars.due, "version": bars.version, "docs": _docs(request), "query": query,
        "sort_links": _sort_links(page, query), "settings_page": hiding.settings_page(wanted.hiding, page.scope),
    }  # fmt: skip
    if known is None:
        return pages.part(request, page, "orders/list.html", LIVE, **context)
    return pages.answer(
        request, page, "orders/list.html", typed=_typed(page), choices=choices(known, query), problem=None,
        export=_export(page, query, zone), stream=_stream(page), **context,
    )  # fmt: skip


@router.get("/orders/{project_id}/{order_id:path}")
async def order_page(request: Request, identity: Viewer, project_id: str, order_id: str) -> Response:
    return await _order(request, identity, project_id, order_id)


@router.post("/orders/{project_id}/{order_id:path}")
async def override_order(request: Request, identity: Admin, project_id: str, order_id: str) -> Response:
    """The form of the override: `urgency` is urgent, normal or rules; `reason`."""
    services = services_of(request)
    row = await visible_project(services, identity, project_id)
    page = await pages.shell(request, identity, "orders")
    _ = pages.translated(page)
    form = await request.form()
    urgency, reason = (str(form.get(name) or "") for name in ("urgency", "reason"))
    here = order_path(project_id, order_id)
    if urgency == "rules":
        was_set = await overriding.remove(services, row.project_id, order_id, actor=identity.actor)
        said = _("The rules decide on this order's urgency again.") if was_set else _("The rules decide already.")
        return flash.redirect(here, said)
    problem = overriding.why_unfit(reason)
    if urgency not in ("urgent", "normal"):
        return await _order(
            request, identity, project_id, order_id, typed={"urgency": urgency, "reason": reason},
            problems={"urgency": _("Choose whether the order is urgent.")}, status=422,
        )  # fmt: skip
    if problem is not None:
        return await _order(
            request, identity, project_id, order_id, typed={"urgency": urgency, "reason": reason},
            problems={"reason": _(problem)}, status=422,
        )  # fmt: skip
    await overriding.override(
        services, row.project_id, order_id, is_urgent=urgency == "urgent", reason=reason.strip(), actor=identity.actor
    )
    said = _("The order is urgent now.") if urgency == "urgent" else _("The order is not urgent now.")
    return flash.redirect(here, said)


def order_path(project_id: str, order_id: str) -> str:
    return f"/orders/{quote(project_id, safe='')}/{quote(order_id, safe='')}"


async def _order(
    request: Request,
    identity: Identity,
    project_id: str,
    order_id: str,
    *,
    typed: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    services = services_of(request)
    row = await visible_project(services, identity, project_id)
    page = await pages.shell(request, identity, "orders")
    found = await reading.read_timeline(services, row, order_id)
    zone = page.project_zone(project_id)
    drawn = None
    if found.intervals:
        drawn = drawing.draw(
            found.intervals, found.stages, found.calendars, now=found.read_at, due_at=found.order.sla_due_at, zone=zone
        )
    override = found.override
    if typed is None:
        is_set = override is not None and override.is_urgent is not None
        urgency = "" if override is None or not is_set else "urgent" if override.is_urgent else "normal"
        typed = {"urgency": urgency, "reason": (override.reason or "") if override is not None and is_set else ""}
    context: dict[str, Any] = {
        "found": found, "drawn": drawn, "zone": zone, "listed": found.intervals[-_LISTED:],
        "sla_bar": bars.sla_bar, "due": bars.due, "shape": drawing,
        "tick_text": lambda tick: formats.instant(tick.at, zone, page.language, tick.pattern),
        "span_text": lambda interval: _span_text(interval, zone, page),
        "docs": _docs(request),
    }  # fmt: skip
    if request.headers.get("x-part") == TIMELINE and status == 200:
        return pages.part(request, page, "orders/order.html", TIMELINE, **context)
    return pages.answer(
        request, page, "orders/order.html", status=status, typed=typed, problems=problems or {},
        here=order_path(project_id, order_id), back=_back(request, page), stream=_stream(page, project_id), **context,
    )  # fmt: skip


def _span_text(interval: Any, zone: tzinfo, page: Shell) -> str:
    since = formats.instant(interval.entered_at, zone, page.language)
    if interval.left_at is None:
        return since
    return f"{since} – {formats.instant(interval.left_at, zone, page.language)}"


async def _nothing() -> None:
    """In the place of a read that is not needed."""


def _given(page: Shell) -> dict[str, Any]:
    """The address's parameters, the last of those that may stand once; projects that cannot be seen do not count."""
    given: dict[str, Any] = dict(page.query)
    given["state"] = page.query.getlist("state")
    given["project"] = sorted(page.chosen)
    return given


def _typed(page: Shell) -> dict[str, str]:
    names = ("number", "status", "group", "urgent", "closed", "by", "from", "to")
    return {name: SAME.get(value := page.query.get(name, ""), value) for name in names}


def _refused(request: Request, page: Shell, error: ValidationError) -> Response:
    """The form as it was typed, and which part of it cannot be read."""
    name = str(error.errors()[0]["loc"][0])
    _ = pages.translated(page)
    return pages.answer(
        request, page, "orders/list.html", status=422, query=PageQuery(), typed=_typed(page),
        choices=Choices([], []), problem=(name, _("The filter “%s” cannot be read: change it or leave it out.") % name),
        sort_links={}, export="", stream="", orders=None, counts=None, averages=None, now=datetime.now(UTC),
        sla_bar=bars.sla_bar, due=bars.due, version=bars.version, docs=_docs(request),
    )  # fmt: skip


def _zone(page: Shell) -> tzinfo:
    """Of the days in the filter: as instants are shown."""
    return page.zone_of(next(iter(page.chosen)) if len(page.chosen) == 1 else None)


def _sort_links(page: Shell, query: PageQuery) -> dict[SortBy, tuple[str, str | None]]:
    """For each sorting its address, and its direction if it is the present one: then the address turns it round."""
    now = query.sorting()
    links: dict[SortBy, tuple[str, str | None]] = {}
    for by in ("changed", "created", "due"):
        is_now = now.by == by
        order = ("asc" if now.descending else "desc") if is_now else None
        address = page.this_page(sort=by, order=order, after=None, before=None)
        links[by] = (address, ("descending" if now.descending else "ascending") if is_now else None)
    return links


def _export(page: Shell, query: PageQuery, zone: tzinfo) -> str:
    parameters = urlencode(query.parameters(sorted(page.chosen), zone))
    return "/api/orders/export.csv" + (f"?{parameters}" if parameters else "")


def _stream(page: Shell, project_id: str | None = None) -> str:
    names = sorted(page.chosen) if project_id is None else [project_id]
    return "/api/stream/orders" + ("?" + urlencode([("project", name) for name in names]) if names else "")


def _docs(request: Request) -> dict[str, str]:
    environment = request.app.state.environment
    return {name: docs_links.model_page(environment, name) for name in _MODELS}


async def _averages(request: Request, wanted: Filter, zone: tzinfo) -> Averages:
    since, until = days(wanted, zone)
    is_recent = since is None and until is None
    if is_recent:
        since = datetime.now(zone).date() - timedelta(days=_RECENT_DAYS - 1)
    with reading.marts_needed():
        async with services_of(request).database() as connection:
            rows = await stage_averages(
                connection, project_ids=wanted.projects, since=since, until=until, group=wanted.group,
                is_urgent=wanted.is_urgent, without=hiding.hidden_groups(wanted.hiding),
            )  # fmt: skip
    rows = [row for row in rows if row.avg_working_seconds]  # closing statuses count no time
    most = sorted(rows, key=lambda row: -row.orders)[:_SHOWN_STAGES]
    return Averages([row for row in rows if row in most], is_recent)


def _back(request: Request, page: Shell) -> str:
    """The list that led here, with its filters; else the list."""
    parts = urlsplit(request.headers.get("referer", ""))
    if parts.path == "/orders" and parts.netloc == request.headers.get("host"):
        return f"/orders?{parts.query}" if parts.query else "/orders"
    return page.link("/orders")
