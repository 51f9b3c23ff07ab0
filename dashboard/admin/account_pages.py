"""`/account`: one's own password."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.admin.forms import Form, read_form
from dashboard.admin.own_password import change_own_password
from dashboard.guard import Person, keep_cookies
from dashboard.identity import Identity
from dashboard.marks import N_
from dashboard.services import services_of
from dashboard.ui import flash, pages
from dashboard.users import UserError
from web.problems import ProblemError

router = APIRouter(include_in_schema=False)


@router.get("/account")
async def account(request: Request, identity: Person) -> Response:
    return await _page(request, identity, Form())


@router.post("/account/password")
async def set_own_password(request: Request, identity: Person) -> Response:
    """All sessions end but this browser's, which gets a new one."""
    services = services_of(request)
    form = await read_form(request)
    page = await pages.shell(request, identity)
    _ = pages.translated(page)
    password = form.get("password")
    address = request.client.host if request.client else ""
    try:
        form.require_equal("password", "again", N_("The two passwords differ; nothing was changed."))
        async with services.database(is_login=True) as connection:
            await change_own_password(services, connection, identity, form.get("current"), password)
            opened = await services.sessions.open(connection, identity.login, password, address, "cookie")
    except UserError as error:
        return await _page(request, identity, form.refused(page, error))
    except ProblemError as problem:
        if problem.code not in ("wrong_password", "locked"):
            raise
        sentence = {"current": pages.said(page, problem)}
        return await _page(request, identity, Form(form.values, errors=sentence), problem.status)
    keep_cookies(services, request, opened.identity, opened.token)
    return flash.redirect("/account", _("Your password is changed; you are logged out everywhere else."))


async def _page(request: Request, identity: Identity, form: Form, status: int = 422) -> Response:
    page = await pages.shell(request, identity)
    return pages.answer(request, page, "admin/account.html", status=status if form.errors else 200, form=form)
