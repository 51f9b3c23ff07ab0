"""`/analytics/map` and `/analytics/variants`: the ways that orders take, and the orders behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import psycopg
from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.analytics import paging, process_map
from dashboard.analytics.frame import Asked, answer
from dashboard.analytics.process_map import START, ProcessMap
from dashboard.analytics.texts import short_duration
from dashboard.cursors import invalid_cursor
from dashboard.guard import Viewer, visible_project
from dashboard.services import services_of
from dashboard.ui import formats
from database.repositories import analytics, analytics_paths
from database.repositories.analytics_paths import Path
from web.problems import ProblemError

_ORDERS, _VARIANTS = 50, 25
_ORDER_KEY = ("orders", "variant_id", "is_urgent", "order_id")

router = APIRouter(include_in_schema=False)


@router.get("/analytics/map")
async def the_map(request: Request, identity: Viewer) -> Response:
    return await answer(request, identity, "map", "analytics/map.html", _map)


@router.get("/analytics/variants")
async def variants(request: Request, identity: Viewer) -> Response:
    return await answer(request, identity, "variants", "analytics/variants.html", _variants)


@router.get("/analytics/map/orders")
async def orders_of_transition(request: Request, identity: Viewer) -> Response:
    """`?project=&from=&to=`: orders that went from one status straight to another; `from` empty: that began there."""
    query = request.query_params
    project = (await visible_project(services_of(request), identity, query.get("project", ""))).project_id
    one, two = query.get("from", ""), query.get("to", "")
    if "\0" in one + two:
        raise _no_transition()

    async def read(asked: Asked) -> dict[str, Any]:
        urgent = asked.filters.is_urgent
        rows = await analytics.read(
            asked.connection, analytics.TRANSITIONS, analytics.Filter([project], is_urgent=urgent)
        )
        found = [row for row in rows if (row["from_status_id"], row["to_status_id"]) == (one, two)]
        if not found:
            raise _no_transition()
        since, after = _place(asked)
        paths = await analytics_paths.paths_with(
            asked.connection, project, one, two, urgent, since=since, limit=_ORDERS + 2
        )
        shown = await _orders(asked, project, paths, after)
        edge = process_map.edges_of(found, asked.filters.clock)[0]
        return {**shown, "edge": edge, "row": found[0], "path": None, "count": edge.orders}

    return await answer(request, identity, "map", "analytics/orders.html", read, has_span=False)


def _no_transition() -> ProblemError:
    return ProblemError(404, "no_transition", "There is no such transition.")


@router.get("/analytics/variants/orders")
async def orders_of_variant(request: Request, identity: Viewer) -> Response:
    """`?project=&variant=`: orders that took one path."""
    query = request.query_params
    project = (await visible_project(services_of(request), identity, query.get("project", ""))).project_id
    variant = query.get("variant", "").replace("\0", "")

    async def read(asked: Asked) -> dict[str, Any]:
        paths = await analytics_paths.paths_named(asked.connection, project, variant, asked.filters.is_urgent)
        if not paths:
            raise ProblemError(404, "no_variant", "There is no such path of orders.")
        since, after = _place(asked)
        begun = [number for number, each in enumerate(paths) if since and each.is_urgent == since.is_urgent]
        left = paths[begun[0] :] if begun else paths
        shown = await _orders(asked, project, left, after)
        count = sum(each.orders for each in paths)
        return {**shown, "edge": None, "row": None, "path": paths[0].status_path, "count": count}

    return await answer(request, identity, "variants", "analytics/orders.html", read, has_span=False)


async def _map(asked: Asked) -> dict[str, Any]:
    """Of one project: the first of those chosen that has transitions."""
    filters = asked.filters
    chosen, rows = next(iter(asked.names), None), []
    for project in asked.names:
        found = await analytics.read(
            asked.connection, analytics.TRANSITIONS, analytics.Filter([project], is_urgent=filters.is_urgent)
        )
        if found:
            chosen, rows = project, found
            break
    options = [(each.project_id, each.name) for each in asked.page.projects.values()]
    if chosen is None or not rows:
        return {"map": None, "project": chosen, "project_options": options}
    groups = await analytics.groups(asked.connection, [chosen])
    cancelled = {row["status_group_id"] for row in groups if row["is_cancelled"]}
    made = process_map.process_map(rows, cancelled, filters.clock, filters.at_least)
    return {"map": made, "project": chosen, "project_options": options, "START": START, **_links(asked, made, chosen)}


def _links(asked: Asked, made: ProcessMap, project: str) -> dict[str, Any]:
    kind: list[tuple[str, str]] = []
    if asked.filters.is_urgent is not None:
        kind = [("urgent", "true" if asked.filters.is_urgent else "false")]

    def edge_link(edge: process_map.Edge) -> str:
        pairs = [("project", project), ("from", edge.from_id), ("to", edge.to_id), *kind]
        return f"/analytics/map/orders?{urlencode(pairs)}"

    def node_link(node: process_map.Node) -> str:
        """Orders that are in the status now."""
        return f"/orders?{urlencode([('project', project), ('status', node.status_id), *kind])}"

    def name_of(status: str) -> str:
        return made.nodes[status].name if status != START else asked.translate("Start")

    def edge_label(edge: process_map.Edge) -> str:
        orders = formats.number(edge.orders, asked.page.language)
        median = edge.median
        return orders if median is None else f"{orders} · {short_duration(median, asked.page.language)}"

    return {"edge_link": edge_link, "node_link": node_link, "name_of": name_of, "edge_label": edge_label}


async def _variants(asked: Asked) -> dict[str, Any]:
    query = asked.page.query
    ended = {"true": True, "false": False}.get(query.get("ended", "true"))
    wanted = analytics_paths.Variants(list(asked.names), asked.filters.is_urgent, ended, asked.filters.group)
    after = query.get("after")
    key = analytics_paths.VARIANT_KEY
    try:
        rows = await analytics_paths.variants(
            asked.connection, wanted, after=paging.decoded(after, key) if after else None, limit=_VARIANTS + 1
        )
    except psycopg.DataError as error:
        raise invalid_cursor() from error
    shown = rows[:_VARIANTS]
    following = paging.encoded(shown[-1], key) if len(rows) > _VARIANTS else None
    kind = asked.page.query.get("urgent", "")

    def variant_link(row: Mapping[str, Any]) -> str:
        pairs = [("project", row["project_id"]), ("variant", row["variant_id"]), ("urgent", kind)]
        return f"/analytics/variants/orders?{urlencode([pair for pair in pairs if pair[1]])}"

    return {"rows": shown, "next": following, "ended": ended, "variant_link": variant_link}


def _place(asked: Asked) -> tuple[Path | None, str | None]:
    """Where a page begins, by its cursor: the path of the last order before it, and that order."""
    cursor = asked.page.query.get("after")
    if not cursor:
        return None, None
    orders, variant, is_urgent, order = paging.decoded(cursor, _ORDER_KEY)
    types_fit = isinstance(orders, int) and isinstance(is_urgent, bool)
    if not types_fit or not isinstance(variant, str) or not isinstance(order, str):
        raise invalid_cursor()
    return Path(variant, is_urgent, orders), order


async def _orders(asked: Asked, project: str, paths: Sequence[Path], after: str | None) -> dict[str, Any]:
    """A page of the orders that took these paths; `after` is one of the first path."""
    rows = await analytics_paths.orders_of(
        asked.connection, project, _enough(paths, _ORDERS + 1), after=after, limit=_ORDERS + 1
    )
    shown = rows[:_ORDERS]
    following = None
    if len(rows) > _ORDERS:
        counts = {(path.variant_id, path.is_urgent): path.orders for path in paths}
        last = shown[-1]
        following = paging.encoded({**last, "orders": counts[last["variant_id"], last["is_urgent"]]}, _ORDER_KEY)
    return {"orders": shown, "next": following, "project": project}


def _enough(paths: Sequence[Path], wanted: int) -> list[Path]:
    """The first paths that surely have so many orders, of the first one perhaps none any more: no more are read."""
    found: list[Path] = []
    orders = 0
    for number, path in enumerate(paths):
        found.append(path)
        orders += path.orders if number else 0
        if orders >= wanted:
            break
    return found
