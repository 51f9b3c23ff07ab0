"""`/audit`: who changed what."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard import cursors
from dashboard.admin.audit_reading import read_page, scope
from dashboard.admin.diff import differences
from dashboard.deeds import sentence_of
from dashboard.guard import Viewer
from dashboard.services import services_of
from dashboard.ui import pages
from dashboard.ui.pages import Shell
from database.repositories import audit
from sync.settings.undoable import is_undoable

router = APIRouter(include_in_schema=False)


@router.get("/audit")
async def show_audit(request: Request, identity: Viewer) -> Response:
    """Filters are in the address: project, actor, action, from, to (days in the viewer's zone)."""
    page = await pages.shell(request, identity, "audit")
    query = request.query_params
    words = {name: query.get(name, "").replace("\0", "").strip() for name in ("actor", "action", "from", "to")}
    before_id = cursors.id_of(query.get("after"))
    since, since_error = _day(page, words["from"])
    until, until_error = _day(page, words["to"], days=1)
    search = scope(
        identity, page.chosen or None, actor=words["actor"], action=words["action"], since=since, until=until
    )
    async with services_of(request).database() as connection:
        found = await read_page(connection, search, before_id)
        actions = await audit.actions(connection)
    return pages.answer(
        request, page, "admin/audit.html", found=found.entries, next=found.next, is_first=before_id is None,
        words=words, actions=actions, differences=differences, is_undoable=is_undoable,
        sentence_of=sentence_of,
        errors={"from": since_error, "to": until_error},
    )  # fmt: skip


def _day(page: Shell, text: str, days: int = 0) -> tuple[datetime | None, bool]:
    """Midnight of that day or of one after it, in the viewer's zone; and whether the text is no day."""
    if not text:
        return None, False
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days=days), time(), page.zone_of(None)).astimezone(
            UTC
        ), False
    except (ValueError, OverflowError):
        return None, True
