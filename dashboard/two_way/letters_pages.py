"""`/sync/dead-letters`: what could not be applied or sent, why, and what is to become of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.guard import Admin, Viewer, visible_project
from dashboard.identity import Identity
from dashboard.services import Services, services_of
from dashboard.two_way import acting, asked, privacy, reading
from dashboard.two_way.pages import around
from dashboard.ui import flash, pages
from dashboard.ui.forms import fields_of
from dashboard.ui.language import translations
from dashboard.ui.pages import Shell
from database.repositories import dead_letter_lists, dead_letters, heartbeats
from database.repositories.dead_letter_lists import STATES, LetterFilter
from database.repositories.settings import ProjectRow
from web.problems import ProblemError

router = APIRouter(include_in_schema=False)

LIST = "/sync/dead-letters"
DEEDS: dict[str, acting.Deed] = {"retry": "retried", "discard": "discarded"}


@router.get(LIST)
async def letters(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "two_way")
    wanted = asked.letter_filter(page.query, pages.visible_ids(page))
    cursor = asked.cursor_of(page.query)
    async with services_of(request).database() as connection:
        found = await dead_letter_lists.page(
            connection, wanted, before_id=cursor.before_id, after_id=cursor.after_id, limit=asked.PAGE_ROWS + 1
        )
        open_count, _ = await dead_letter_lists.count_open(connection, wanted)
        sources = await asked.known_sources(connection, wanted.project_ids, wanted.source)
        context = await around(connection, page, "letters")
    rows = asked.rows_of(found, [row.dead_letter_id for row in found], cursor)
    context |= {
        "rows": rows, "wanted": wanted, "states": STATES, "sources": sources, "open_count": open_count,
        "filter_query": filter_query(wanted, page), "reading_most": dead_letter_lists.MOST_AT_ONCE,
    }  # fmt: skip
    return pages.answer(request, page, "two_way/letters.html", **context)


@router.get(LIST + "/all")
async def confirm_all(request: Request, identity: Admin) -> Response:
    """How many letters a filter has, and the question whether all of them are meant."""
    page = await pages.shell(request, identity, "two_way")
    deed = asked.one_of(page.query.get("deed"), DEEDS)
    if deed is None:
        raise ProblemError(404, "http", "There is no such address.")
    wanted = asked.letter_filter(page.query, pages.visible_ids(page))
    async with services_of(request).database() as connection:
        count, last_id = await dead_letter_lists.count_open(connection, wanted)
        context = await around(connection, page, "letters")
    context |= {
        "wanted": wanted, "deed": deed, "count": min(count, dead_letter_lists.MOST_AT_ONCE), "last_id": last_id,
        "filter_query": filter_query(wanted, page),
    }  # fmt: skip
    return pages.answer(request, page, "two_way/letters_all.html", **context)


@router.post(LIST + "/all")
async def settle_all(request: Request, identity: Admin) -> Response:
    """All open letters of the address's filter that were counted when the question was asked."""
    page = await pages.shell(request, identity, "two_way")
    form = await fields_of(request)
    deed, last_id = asked.one_of(form.get("deed"), DEEDS), asked.number_of(form.get("last_id"))
    if deed is None or last_id is None:
        raise ProblemError(400, "invalid", "Choose what is to be done with these letters.")
    wanted = asked.letter_filter(page.query, pages.visible_ids(page))
    services = services_of(request)
    async with services.database() as connection:
        count = await acting.settle_letters(connection, identity, DEEDS[deed], wanted, up_to=last_id)
    return await _told(services, page, deed, count, f"{LIST}?{filter_query(wanted, page)}")


@router.get(LIST + "/{number}")
async def letter(request: Request, identity: Viewer, number: str) -> Response:
    """One letter with what was sent and answered, masked."""
    services = services_of(request)
    row, project = await letter_of(services, identity, number)
    page = await pages.shell(request, identity, "two_way")
    async with services.database() as connection:
        context = await around(connection, page, "letters")
    context |= {"letter": row, "is_medical": privacy.is_medical(project), **shown(project, row)}
    if request.headers.get("x-part") == "letter":
        return pages.part(request, page, "two_way/letter.html", "letter_body", **context)
    return pages.answer(request, page, "two_way/letter.html", **context)


@router.post(LIST + "/{number}/{deed}")
async def settle(request: Request, identity: Admin, number: str, deed: str) -> Response:
    """Retry or discard one letter."""
    if deed not in DEEDS:
        raise ProblemError(404, "http", "There is no such address.")
    services = services_of(request)
    row, project = await letter_of(services, identity, number)
    page = await pages.shell(request, identity, "two_way")
    async with services.database() as connection:
        count = await acting.settle_letters(
            connection, identity, DEEDS[deed], LetterFilter((project.project_id,)), ids=[row["dead_letter_id"]]
        )
    where = page.link(f"{LIST}/{number}" if deed == "retry" else LIST)
    if not count:
        _ = pages.translated(page)
        return flash.redirect(where, _("The letter is closed already: nothing was done."), "note")
    return await _told(services, page, deed, count, where)


async def letter_of(services: Services, identity: Identity, number: str) -> tuple[dict[str, Any], ProjectRow]:
    """The letter of an address and its project. Raises ProblemError, 404, if there is none that one may see."""
    dead_letter_id = asked.number_of(number)
    async with services.database() as connection:
        row = None if dead_letter_id is None else await dead_letters.get(connection, dead_letter_id)
    if row is None or not identity.may_see(row["project_id"]):
        raise ProblemError(404, "unknown_letter", "There is no such dead letter that you may see.")
    return row, await visible_project(services, identity, row["project_id"])


def shown(project: ProjectRow, row: dict[str, Any]) -> dict[str, str | None]:
    """Payload, request and answer as they may be shown."""
    is_ours = row["direction"] == "outbound"
    return {
        "payload": (privacy.masked_exchange if is_ours else privacy.masked_payload)(project, row["payload"]),
        "sent": privacy.masked_exchange(project, row["request"]),
        "answered": privacy.masked_exchange(project, row["answer"]),
    }


def filter_query(wanted: LetterFilter, page: Shell) -> str:
    """The filter as the addresses of the list and of `all` spell it."""
    given = {
        "state": wanted.state or "all", "direction": wanted.direction, "source": wanted.source,
        "error": wanted.error_word,
    }  # fmt: skip
    pairs = [("project", name) for name in sorted(page.chosen)]
    return urlencode(pairs + [(name, value) for name, value in given.items() if value is not None])


async def _told(services: Services, page: Shell, deed: str, count: int, where: str) -> Response:
    plural = translations(page.language).ngettext
    if deed == "discard":
        text = plural("%(count)s letter is discarded.", "%(count)s letters are discarded.", count)
        return flash.redirect(where, text % {"count": count})
    async with services.database() as connection:
        relay = reading.relay_of(await heartbeats.newest(connection, "relay"))
    if not relay.is_alive:
        text = plural(
            "%(count)s letter waits to be tried again, but the relay does not run: start it with crm-elt up.",
            "%(count)s letters wait to be tried again, but the relay does not run: start it with crm-elt up.",
            count,
        )
        return flash.redirect(where, text % {"count": count}, "note")
    text = plural(
        "%(count)s letter is tried again within seconds.", "%(count)s letters are tried again within seconds.", count
    )
    return flash.redirect(where, text % {"count": count})
