"""`/tokens`: tokens for scripts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard import script_tokens
from dashboard.admin.forms import Form, read_form
from dashboard.admin.tokens_api import unknown_token
from dashboard.guard import Manager
from dashboard.identity import Identity
from dashboard.script_tokens import NewToken
from dashboard.services import services_of
from dashboard.ui import flash, pages
from dashboard.ui.pages import Shell
from dashboard.users import UserError
from database.repositories import script_tokens as token_rows

router = APIRouter(include_in_schema=False)
_EMPTY = Form({"role": "viewer", "scope": "all"})


@router.get("/tokens")
async def list_tokens(request: Request, identity: Manager) -> Response:
    return await _list_page(request, identity, _EMPTY)


@router.post("/tokens")
async def make_token(request: Request, identity: Manager) -> Response:
    """The page that is answered is the only one that ever shows the token."""
    form = await read_form(request)
    page = await pages.shell(request, identity, "users")
    try:
        expires_at = _end_of(page, form.get("expires"))
        async with services_of(request).database() as connection:
            made = await script_tokens.create(
                connection, form.get("name"), form.role, form.project_ids, expires_at, actor=identity.actor
            )
    except UserError as error:
        return await _list_page(request, identity, form.refused(page, error))
    return await _list_page(request, identity, _EMPTY, made)


@router.post("/tokens/{token_id:uuid}/revoke")
async def revoke_token(request: Request, identity: Manager, token_id: UUID) -> Response:
    page = await pages.shell(request, identity)
    async with services_of(request).database() as connection:
        row = await script_tokens.revoke(connection, token_id, actor=identity.actor)
    if row is None:
        raise unknown_token()
    said = pages.translated(page)("The token %(name)s is refused from now on.")
    return flash.redirect("/tokens", said % {"name": row.name})


async def _list_page(request: Request, identity: Identity, form: Form, made: NewToken | None = None) -> Response:
    page = await pages.shell(request, identity, "users")
    async with services_of(request).database() as connection:
        rows = await token_rows.list_all(connection)
    return pages.answer(
        request, page, "admin/tokens.html", status=422 if form.errors else 200, tokens=rows, form=form, made=made,
        now=datetime.now(UTC),
    )  # fmt: skip


def _end_of(page: Shell, text: str) -> datetime | None:
    """The end of that day in the viewer's zone; None for none. Raises UserError."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise UserError("A date looks like 2027-01-31.", about="expires") from None
    return datetime.combine(day, time(), page.zone_of(None)).astimezone(UTC)
