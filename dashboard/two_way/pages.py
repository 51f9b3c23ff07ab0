"""`/sync`: how both ways stand; the outbox; what is linked; what the last comparison found."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.guard import Viewer
from dashboard.services import services_of
from dashboard.two_way import asked, reading, scope, words
from dashboard.ui import pages
from dashboard.ui.pages import Shell
from database.connection import Connection
from database.repositories import consistency, resyncs, two_way_lists, two_way_overview
from database.repositories.two_way_lists import MAPPING_STATES, OUTBOX_STATES, OutboxLine
from sync.two_way.objects import ENTITIES

router = APIRouter(include_in_schema=False)

HISTORY_ROWS = 60
ALERT_PATHS = {
    "conflict": "/sync/conflicts", "record_failed": "/sync/dead-letters", "outbox_failed": "/sync/dead-letters",
    "delivery_failed": "/sync/dead-letters", "crm_away": "/sync/outbox",
}  # fmt: skip
"""Where what an alert is about is seen; by its kind."""


async def around(connection: Connection, page: Shell, tab: str) -> dict[str, Any]:
    """What all pages of the area show: the tabs with what is open in each."""
    return {
        **words.for_templates(),
        "tab": tab,
        "open_counts": await two_way_overview.count_open(connection, pages.visible_ids(page)),
    }


async def two_way_ids(connection: Connection, page: Shell) -> list[str]:
    """Of the page's projects those that are kept in step, or could be."""
    return await scope.two_way(connection, {name: page.projects[name].crm for name in page.scope})


@router.get("/sync")
async def overview(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "two_way")
    async with services_of(request).database() as connection:
        ids = pages.visible_ids(page)
        linked = sorted(await two_way_overview.projects_with_links(connection, ids))
        found = await reading.load_overview(connection, ids, linked)
        context = await around(connection, page, "overview")
    context |= {"overview": found, "counted": two_way_overview.COUNTED, "differing_share": reading.differing_share}
    context |= {"is_off_target": reading.is_off_target, "alert_paths": ALERT_PATHS}
    if request.headers.get("x-part") == "standing":
        return pages.part(request, page, "two_way/overview.html", "standing", **context)
    return pages.answer(request, page, "two_way/overview.html", **context)


@router.get("/sync/outbox")
async def outbox(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "two_way")
    cursor = asked.cursor_of(page.query)
    state = asked.one_of(page.query.get("state"), OUTBOX_STATES)
    entity = asked.one_of(page.query.get("entity"), ENTITIES)
    vms_id = asked.number_of(page.query.get("object"))
    ids = pages.visible_ids(page)
    async with services_of(request).database() as connection:
        found = await two_way_lists.outbox_page(
            connection, ids, state=state, entity=entity, vms_id=vms_id, before_id=cursor.before_id,
            after_id=cursor.after_id, limit=asked.PAGE_ROWS + 1,
        )  # fmt: skip
        away = await two_way_overview.away(connection, ids)
        context = await around(connection, page, "outbox")
    rows = asked.rows_of(found, [row.outbox_id for row in found], cursor)
    _ = pages.translated(page)
    reasons = {row.outbox_id: why(row, page, away) for row in rows.items}
    context |= {
        "rows": rows, "chosen": {"state": state, "entity": entity, "vms_id": vms_id}, "states": OUTBOX_STATES,
        "entities": ENTITIES, "reasons": {number: _(text) if text else "" for number, text in reasons.items()},
    }  # fmt: skip
    return pages.answer(request, page, "two_way/outbox.html", **context)


def why(row: OutboxLine, page: Shell, away: set[str]) -> str:
    """Why a change waits, was skipped or failed: one sentence, English; empty for what was sent."""
    if row.state == "sending":
        return "Is on its way to the CRM."
    if row.state == "waiting":
        project = page.projects.get(row.project_id)
        if project is not None and not project.is_enabled:
            return "The project is disabled: what waits is sent once it is enabled."
        if row.project_id in away:
            return "The CRM does not answer: it is sent once the CRM is back."
        return row.message or ("Is tried again later." if row.is_put_off else "Waits for its turn.")
    return row.message or ""


@router.get("/sync/links")
async def links(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "two_way")
    cursor = asked.cursor_of(page.query)
    chosen = {
        "status": asked.one_of(page.query.get("state"), MAPPING_STATES),
        "entity": asked.one_of(page.query.get("entity"), ENTITIES),
    }
    async with services_of(request).database() as connection:
        found = await two_way_lists.mapping_page(
            connection, pages.visible_ids(page), **chosen, before_id=cursor.before_id, after_id=cursor.after_id,
            limit=asked.PAGE_ROWS + 1,
        )  # fmt: skip
        context = await around(connection, page, "links")
    rows = asked.rows_of(found, [row.mapping_id for row in found], cursor)
    context |= {"rows": rows, "chosen": chosen, "states": MAPPING_STATES, "entities": ENTITIES}
    return pages.answer(request, page, "two_way/links.html", **context)


@router.get("/sync/consistency")
async def checks(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "two_way")
    async with services_of(request).database() as connection:
        ids = await two_way_ids(connection, page)
        newest = await consistency.newest_of(connection, ids)
        going = {row.project_id for row in await resyncs.under_way(connection, ids)}
        history = await consistency.history(connection, ids, HISTORY_ROWS)
        context = await around(connection, page, "consistency")
    context |= {
        "newest": newest, "history": history, "two_way_ids": ids, "going": going,
        "differing_share": reading.differing_share, "is_off_target": reading.is_off_target,
    }  # fmt: skip
    return pages.answer(request, page, "two_way/consistency.html", **context)
