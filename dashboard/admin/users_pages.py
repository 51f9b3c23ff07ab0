"""`/users`: who may log in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard import users
from dashboard.admin.forms import Form, form_of, read_form
from dashboard.admin.users_api import known_user
from dashboard.guard import Manager
from dashboard.identity import Identity
from dashboard.marks import N_
from dashboard.services import services_of
from dashboard.ui import flash, pages
from dashboard.users import UserError
from database.connection import Connection
from database.repositories import users as user_rows
from database.repositories.users import UserRow

router = APIRouter(include_in_schema=False)

Work = Callable[[Connection, UserRow, Form], Awaitable[str]]
"""Does what a form asks for; the sentence for the next page, in English, which is translated when it is said."""


@router.get("/users")
async def list_users(request: Request, identity: Manager) -> Response:
    page = await pages.shell(request, identity, "users")
    async with services_of(request).database() as connection:
        rows = await user_rows.list_all(connection)
    return pages.answer(request, page, "admin/users.html", users=rows, now=datetime.now(UTC))


@router.get("/users/new")
async def new_user(request: Request, identity: Manager) -> Response:
    return await _new_page(request, identity, Form({"role": "viewer", "scope": "some"}))


@router.post("/users/new")
async def add_user(request: Request, identity: Manager) -> Response:
    form = await read_form(request)
    page = await pages.shell(request, identity, "users")
    _ = pages.translated(page)
    try:
        async with services_of(request).database() as connection:
            await users.add(
                connection, form.get("login"), form.get("password"), form.role, form.user_projects, actor=identity.actor
            )
    except UserError as error:
        return await _new_page(request, identity, form.refused(page, error))
    said = _("%(login)s may log in now: tell them their password.")
    return flash.redirect("/users", said % {"login": form.get("login").strip().lower()})


@router.get("/users/{user_id:int}")
async def show_user(request: Request, identity: Manager, user_id: int) -> Response:
    return await _user_page(request, identity, user_id, None, "")


@router.post("/users/{user_id:int}/rights")
async def set_rights(request: Request, identity: Manager, user_id: int) -> Response:
    async def work(connection: Connection, row: UserRow, form: Form) -> str:
        await users.set_rights(
            connection, row.login, form.role, form.user_projects, actor=identity.actor, by=identity.user_id
        )
        return N_("The rights of %(login)s count from now on.")

    return await _do(request, identity, user_id, "rights", work)


@router.post("/users/{user_id:int}/password")
async def set_password(request: Request, identity: Manager, user_id: int) -> Response:
    async def work(connection: Connection, row: UserRow, form: Form) -> str:
        if row.user_id == identity.user_id:
            raise UserError("Change your own password on your account page.", about="password")
        await users.set_password(connection, row.login, form.get("password"), actor=identity.actor)
        return N_("%(login)s has a new password and is logged out everywhere.")

    return await _do(request, identity, user_id, "password", work)


@router.post("/users/{user_id:int}/enable")
async def enable(request: Request, identity: Manager, user_id: int) -> Response:
    async def work(connection: Connection, row: UserRow, form: Form) -> str:
        await users.set_enabled(connection, row.login, is_enabled=True, actor=identity.actor)
        return N_("%(login)s may log in again.")

    return await _do(request, identity, user_id, "state", work)


@router.post("/users/{user_id:int}/disable")
async def disable(request: Request, identity: Manager, user_id: int) -> Response:
    async def work(connection: Connection, row: UserRow, form: Form) -> str:
        await users.set_enabled(connection, row.login, is_enabled=False, actor=identity.actor, by=identity.user_id)
        return N_("%(login)s is kept out and logged out everywhere.")

    return await _do(request, identity, user_id, "state", work)


@router.post("/users/{user_id:int}/unlock")
async def unlock(request: Request, identity: Manager, user_id: int) -> Response:
    async def work(connection: Connection, row: UserRow, form: Form) -> str:
        await users.unlock(connection, row.login, actor=identity.actor)
        return N_("%(login)s may try again at once.")

    return await _do(request, identity, user_id, "state", work)


async def _do(request: Request, identity: Identity, user_id: int, name: str, work: Work) -> Response:
    """Back to the user's page with a sentence; else the page again with what was typed into the form `name`."""
    form = await read_form(request)
    try:
        async with services_of(request).database() as connection:
            row = await known_user(connection, user_id)
            sentence = await work(connection, row, form)
    except UserError as error:
        page = await pages.shell(request, identity, "users")
        return await _user_page(request, identity, user_id, form.refused(page, error), name)
    said = pages.translated(await pages.shell(request, identity))(sentence)
    return flash.redirect(f"/users/{user_id}", said % {"login": row.login})


async def _new_page(request: Request, identity: Identity, form: Form) -> Response:
    page = await pages.shell(request, identity, "users")
    return pages.answer(request, page, "admin/user_new.html", status=422 if form.errors else 200, form=form)


async def _user_page(request: Request, identity: Identity, user_id: int, sent: Form | None, name: str) -> Response:
    page = await pages.shell(request, identity, "users")
    async with services_of(request).database() as connection:
        row = await known_user(connection, user_id)
    forms = {"rights": form_of(row.role, row.project_ids), "password": Form(), "state": Form()}
    if sent is not None:
        forms[name] = sent
    return pages.answer(
        request, page, "admin/user.html", status=200 if sent is None else 422, user=row, forms=forms,
        is_self=row.user_id == identity.user_id, now=datetime.now(UTC),
    )  # fmt: skip
