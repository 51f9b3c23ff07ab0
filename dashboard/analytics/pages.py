"""`/analytics`: times, cycles, SLA and flow. The process map and variants are in `path_pages`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.analytics import durations, flow, outcomes
from dashboard.analytics.durations import Durations, Line
from dashboard.analytics.frame import Asked, answer
from dashboard.guard import Viewer
from database.repositories import analytics, analytics_flow
from database.repositories.analytics import Mart

SECTIONS = 3
"""Projects that a page of percentiles shows one below the other; a link leads to each further one."""
_ENDS = ("orders", "cancelled", "on_time", "late", "without_limit")
_PASSES = ("first_pass", "returned", "returns")

router = APIRouter(include_in_schema=False)


@router.get("/analytics")
async def times(request: Request, identity: Viewer) -> Response:
    return await answer(request, identity, "times", "analytics/times.html", _times)


@router.get("/analytics/cycles")
async def cycles(request: Request, identity: Viewer) -> Response:
    return await answer(request, identity, "cycles", "analytics/cycles.html", _cycles)


@router.get("/analytics/sla")
async def sla(request: Request, identity: Viewer) -> Response:
    return await answer(request, identity, "sla", "analytics/sla.html", _sla)


@router.get("/analytics/flow")
async def throughput(request: Request, identity: Viewer) -> Response:
    return await answer(request, identity, "flow", "analytics/flow.html", _flow, with_ageing=True)


async def _times(asked: Asked) -> dict[str, Any]:
    _ = asked.translate
    titles = {"first": _("Stage"), "spread": _("Time per stage"), "trend": _("Time per stage over time")}
    sections = []
    for project, found in (await _sections(asked, analytics.STAGES, "status_group", titles)).items():
        assert found.period is not None
        rows = await analytics.read(
            asked.connection, analytics.STATUSES, asked.filters.of([project], period=found.period)
        )
        lines = durations.lines_of(rows, "status_id", "status_name", asked.filters.clock)
        sections.append((project, found, lines))
    return {"sections": sections, "others": _others(asked, [project for project, *_ in sections])}


async def _cycles(asked: Asked) -> dict[str, Any]:
    _ = asked.translate
    titles = {"first": _("Cycle"), "spread": _("Time per cycle"), "trend": _("Time per cycle over time")}
    found = await _sections(asked, analytics.CYCLES, "cycle", titles)
    defaults = await analytics.default_cycles(asked.connection, list(found))
    sections: list[tuple[str, Durations, list[Line]]] = [(project, each, []) for project, each in found.items()]
    return {"sections": sections, "defaults": defaults, "others": _others(asked, list(found))}


async def _sections(asked: Asked, mart: Mart, kind: str, titles: Mapping[str, str]) -> dict[str, Durations]:
    """The first projects that have rows in the span."""
    key, name = ("cycle_rule_id", "cycle_title") if kind == "cycle" else (f"{kind}_id", f"{kind}_name")
    found: dict[str, Durations] = {}
    for project in asked.names:
        if len(found) == SECTIONS:
            break
        rows = await analytics.read(asked.connection, mart, asked.filters.of([project]))
        if rows:
            found[project] = durations.durations(rows, key, name, asked.filters, asked.page.language, titles)
    return found


def _others(asked: Asked, shown: list[str]) -> list[tuple[str, str]]:
    """Projects that have no section: their names, and the address of this page for each alone."""
    return [
        (name, asked.page.this_page(project=project, period=None))
        for project, name in asked.names.items()
        if project not in shown and len(shown) == SECTIONS
    ]


async def _sla(asked: Asked) -> dict[str, Any]:
    _, language, filters = asked.translate, asked.page.language, asked.filters
    of_all = filters.of(list(asked.names))
    compliance = await analytics.read(asked.connection, analytics.SLA, of_all)
    ends = await analytics.read(asked.connection, analytics.SUCCESS, of_all)
    lost = await analytics.read(asked.connection, analytics.CANCELLATIONS, of_all)
    states = ("sla_ok", "sla_near", "sla_over")
    by_stage = outcomes.by_stage(compliance, "status_group", states, language)
    cancellations = outcomes.by_stage(lost, "previous_status_group", ("exits", "cancellations"), language)
    kept, judged = ("sla_ok", "sla_near"), states
    return {
        "judged": outcomes.totals(compliance, states),
        "ended": outcomes.totals(ends, _ENDS),
        "share": outcomes.share,
        "by_stage": by_stage,
        "sla_chart": outcomes.sla_chart(by_stage, asked.names, language),
        "compliance_chart": outcomes.rate_chart(
            compliance, kept, judged, filters, _("SLA compliance over time"), language
        ),
        "success_chart": outcomes.rate_chart(
            ends, ("on_time",), ("on_time", "late"), filters, _("On-time success over time"), language
        ),
        "ends": outcomes.by_period(ends, _ENDS),
        "cancellations": cancellations,
        "cancellation_chart": outcomes.cancellation_chart(cancellations, asked.names, language),
    }


async def _flow(asked: Asked) -> dict[str, Any]:
    _, language, filters = asked.translate, asked.page.language, asked.filters
    ids = list(asked.names)
    daily = await analytics_flow.by_day(asked.connection, filters.of(ids))
    waiting = await analytics_flow.backlogs(asked.connection, filters.of(ids), flow.MOST_LINES)
    passes = await analytics.read(asked.connection, analytics.FIRST_PASS, filters.of(ids))
    period, bottlenecks = await _bottlenecks(asked, ids)
    flows = flow.stage_flows(await analytics_flow.by_stage(asked.connection, filters.of(ids)), language)
    return {
        "flows": flows,
        "ended": sum(each.ended for each in flows),
        "backlog": sum(each.backlog for each in flows),
        "throughput_chart": flow.throughput_chart(daily, filters.group is not None, language),
        "backlog_chart": flow.backlog_chart(waiting, asked.names, language),
        "ageing": flow.ageing_table(asked.ageing, language),
        "ageing_chart": flow.ageing_chart(asked.ageing, asked.names, language),
        "passes": outcomes.totals(passes, _PASSES),
        "share": outcomes.share,
        "pass_chart": outcomes.rate_chart(
            passes, ("first_pass",), ("first_pass", "returned"), filters, _("First-pass rate over time"), language
        ),
        "period": period,
        "bottlenecks": bottlenecks,
    }


async def _bottlenecks(asked: Asked, ids: list[str]) -> tuple[date | None, analytics.Rows]:
    """Of the period asked for, else of the newest in the span that has any."""
    period = asked.filters.period
    if period is None:
        period = await analytics.newest_period(asked.connection, analytics.STAGES, asked.filters.of(ids))
    if period is None:
        return None, []
    of_period = asked.filters.of(ids, period=period)
    return period, await analytics.read(asked.connection, analytics.BOTTLENECKS, of_period)
