"""`/api/analytics/...`: rows of the aggregate marts as JSON, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from dashboard.analytics import models
from dashboard.analytics.filters import MOST_PERIODS, begins, parsed, span_problem
from dashboard.analytics.paging import decoded, encoded
from dashboard.cursors import invalid_cursor
from dashboard.guard import Viewer, wanted_projects
from dashboard.identity import Identity
from dashboard.openapi import refusals
from dashboard.services import services_of
from database.connection import Connection
from database.repositories import analytics, analytics_paths, settings
from database.repositories.analytics import Filter, Grain, Mart, NotBuiltError
from web.problems import ProblemError

MOST_ROWS, ROWS = 1000, 200
_NOT_BUILT = "The marts have not been built yet: wait for the first build, or run crm-elt build."

router = APIRouter(prefix="/api/analytics", responses=refusals({503: ("not_built", _NOT_BUILT)}))

Projects = Annotated[list[str], Query(alias="project")]
Urgent = Annotated[bool | None, Query(description="Only urgent orders, or only normal ones; all without it.")]
Group = Annotated[str | None, Query(description="Id of a status group (stage); all without it.", max_length=200)]
Length = Annotated[Grain, Query(description="Length of the periods: day, week (from Monday) or month.")]
From = Annotated[
    date | None,
    Query(
        alias="from", examples=["2026-11-01"],
        description="Periods from the one with this day on. Without it the last 30 days, 12 weeks or 12 months; "
        f"{MOST_PERIODS} periods at most.",
    ),
]  # fmt: skip
To = Annotated[
    date | None,
    Query(alias="to", description="Up to periods that begin on this day; today without it.", examples=["2026-11-30"]),
]
After = Annotated[str | None, Query(max_length=2000)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]


async def _ids(request: Request, identity: Viewer, projects: Projects = []) -> list[str]:  # noqa: B006 - FastAPI copies it
    """The projects that this answer is about."""
    services = services_of(request)
    wanted = await wanted_projects(services, identity, projects)
    return sorted(await visible(request, identity, wanted))


async def visible(request: Request, identity: Identity, wanted: frozenset[str] | None) -> frozenset[str]:
    seen = identity.visible(wanted)
    if seen is not None:
        return seen
    async with services_of(request).database() as connection:
        return frozenset(row.project_id for row in await settings.list_projects(connection))


def _stages_of_span(
    grain: Length = "week", first: From = None, last: To = None, group: Group = None, urgent: Urgent = None
) -> Filter:
    return _span(grain, first, last, group, urgent)


def _orders_of_span(grain: Length = "week", first: From = None, last: To = None, urgent: Urgent = None) -> Filter:
    """Of marts that know no stages."""
    return _span(grain, first, last, None, urgent)


def _days(first: From = None, last: To = None, group: Group = None, urgent: Urgent = None) -> Filter:
    """Of marts with a row for each day alone."""
    return _span("day", first, last, group, urgent)


def _span(grain: Grain, first: date | None, last: date | None, group: str | None, urgent: bool | None) -> Filter:
    """The last 30 days, 12 weeks or 12 months, if nothing else is said."""
    default = parsed({"grain": grain, "to": last.isoformat() if last else ""}, datetime.now(UTC).date())
    begin = begins(grain, first) if first else default.first
    if problem := span_problem(grain, begin, default.last):
        raise ProblemError(400, "invalid", f"query.from: {problem}")
    return Filter([], grain, begin, default.last, _text(group), urgent)


def _plain(group: Group = None, urgent: Urgent = None) -> Filter:
    return Filter([], group=_text(group), is_urgent=urgent)


def _text(value: str | None) -> str | None:
    if value is not None and "\0" in value:
        raise ProblemError(400, "invalid", "query.group: No id has such letters.")
    return value


Ids = Annotated[list[str], Depends(_ids)]
Plain = Annotated[Filter, Depends(_plain)]


async def _page(
    request: Request, mart: Mart, ids: Sequence[str], chosen: Filter, after: str | None, limit: int
) -> dict[str, Any]:
    last = decoded(after, mart.key) if after else None
    filled = Filter(ids, chosen.grain, chosen.first, chosen.last, chosen.group, chosen.is_urgent)

    async def read(connection: Connection) -> analytics.Rows:
        return await analytics.read(connection, mart, filled, after=last, limit=limit + 1)

    return await _answer(request, read, mart.key, limit)


async def _answer(request: Request, read: Any, key: Sequence[str], limit: int) -> dict[str, Any]:
    async with services_of(request).database() as connection:
        try:
            rows = await read(connection)
        except NotBuiltError as error:
            raise not_built() from error
        except psycopg.DataError as error:
            raise invalid_cursor() from error
    items = rows[:limit]
    return {"items": items, "next": encoded(items[-1], key) if len(rows) > limit else None}


def not_built() -> ProblemError:
    return ProblemError(503, "not_built", _NOT_BUILT, retry_after=60)


def _serve(path: str, mart: Mart, model: type[BaseModel], summary: str) -> None:
    """One route over one mart, with the filters that the mart knows."""
    if mart.period is None:
        by = Depends(_plain)
    elif not mart.has_grain:
        by = Depends(_days)
    else:
        by = Depends(_stages_of_span if mart.groups or mart.status else _orders_of_span)

    async def route(
        request: Request, ids: Ids, chosen: Filter = by, after: After = None, limit: Limit = ROWS
    ) -> dict[str, Any]:
        return await _page(request, mart, ids, chosen, after, limit)

    router.add_api_route(
        path, route, methods=["GET"], response_model=models.Answer[model], summary=summary,  # type: ignore[valid-type]
        description=f"{model.__doc__} Rows of marts.{mart.name}, by {', '.join(mart.key)}.",
        name=f"analytics {path.removeprefix('/')}",
    )  # fmt: skip


_serve("/stages", analytics.STAGES, models.Stage, "Time per stage")
_serve("/statuses", analytics.STATUSES, models.Status, "Time per status")
_serve("/cycles", analytics.CYCLES, models.Cycle, "Time per cycle")
_serve("/sla", analytics.SLA, models.Compliance, "SLA compliance per stage")
_serve("/success", analytics.SUCCESS, models.Success, "On-time success")
_serve("/cancellations", analytics.CANCELLATIONS, models.Cancellation, "Cancellations by stage")
_serve("/first-pass", analytics.FIRST_PASS, models.FirstPass, "First-pass rate")
_serve("/throughput", analytics.FLOW, models.Flow, "Throughput and backlog per day")
_serve("/bottlenecks", analytics.BOTTLENECKS, models.Bottleneck, "Bottlenecks")
_serve("/ageing", analytics.AGEING, models.Ageing, "Ageing of open orders, live")
_serve("/transitions", analytics.TRANSITIONS, models.Transition, "The process map's edges")


@router.get(
    "/variants",
    response_model=models.Answer[models.Variant],
    summary="Paths through the statuses",
    description="Paths that orders took, those of most orders first. Rows of marts.agg_variants. A `group` leaves "
    "those that never were in it.",
)
async def variants(
    request: Request,
    ids: Ids,
    chosen: Plain,
    ended: Annotated[bool | None, Query(description="Only orders that have come to their end, or only others.")] = None,
    after: After = None,
    limit: Limit = ROWS,
) -> dict[str, Any]:
    last = decoded(after, analytics_paths.VARIANT_KEY) if after else None
    wanted = analytics_paths.Variants(ids, chosen.is_urgent, ended, chosen.group)

    async def read(connection: Connection) -> analytics.Rows:
        return await analytics_paths.variants(connection, wanted, after=last, limit=limit + 1)

    return await _answer(request, read, analytics_paths.VARIANT_KEY, limit)
