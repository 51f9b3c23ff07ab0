"""Logging in and out. A form gives a browser its cookie; JSON gives a program a token to send as `Authorization`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from dashboard.guard import Viewer, keep_cookies, require_own_origin, signed_in
from dashboard.identity import Identity
from dashboard.openapi import refusals
from dashboard.routes.preferences import own_page
from dashboard.services import services_of
from dashboard.sessions import Opened
from dashboard.ui import pages
from database.repositories.users import Role
from web.answers import json_answer
from web.files import read_body
from web.problems import ProblemError

_BODY_BYTES = 16 * 1024
_NO_STORE = {"cache-control": "no-store"}

public = APIRouter()
router = APIRouter(dependencies=[Depends(signed_in)])


class SessionUser(BaseModel):
    login: str = Field(description="`token:NAME` for a script.", examples=["ann@example.com"])
    role: Role
    projects: list[str] | None = Field(description="null: all, those to come too.", examples=[["print-shop"]])
    expires_at: datetime | None = Field(
        description="When the token does; null: never.", examples=["2026-11-21T20:00:00Z"]
    )


class Session(SessionUser):
    csrf_token: str = Field(description="To be sent as x-csrf-token with changes by cookie.", examples=["5f2c..."])


class SessionToken(BaseModel):
    access_token: str = Field(description="To be sent as `Authorization: Bearer`.", examples=["eyJhbGciOi..."])
    token_type: str = Field(description="How to send it.", examples=["Bearer"])
    expires_at: datetime = Field(description="It is refused from then on.", examples=["2026-11-21T20:00:00Z"])
    user: SessionUser = Field(description="Whose it is.")


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    login: str
    password: str


class LoginForm(LoginBody):
    onward: str = ""
    """The page to go to."""


@public.get("/login", include_in_schema=False)
async def login_page(request: Request, next: str | None = None) -> Response:  # noqa: A002 - the address says so
    """The form; `next` is the page that asked for it."""
    return await _form_page(request, own_page(next))


@public.post(
    "/login", summary="Log in", response_model=SessionToken, responses={
        429: {}, **refusals({
            401: ("wrong_login", "The login or the password is wrong."),
            403: ("disabled", "This user is disabled: ask an admin to enable it."),
        }),
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {
        "schema": {"type": "object", "required": ["login", "password"], "properties": {
            "login": {"type": "string"}, "password": {"type": "string", "format": "password"},
        }},
        "example": {"login": "ann@example.com", "password": "correct horse battery"},
    }}}},
)  # fmt: skip
async def login(request: Request) -> Response:
    """Log in with login and password.

    A form (`login`, `password`) is answered with the session's cookie and 303 to `/`; JSON with `access_token`, to be
    sent as `Authorization: Bearer` and renewed by POST /api/session/refresh before it expires.
    """
    services = services_of(request)
    require_own_origin(services, request)
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    body = await _body(request, is_form=is_form)
    address = request.client.host if request.client else ""
    try:
        async with services.database(is_login=True) as connection:
            opened = await services.sessions.open(
                connection, body.login, body.password, address, "cookie" if is_form else "bearer"
            )
    except ProblemError as problem:
        if not is_form or "text/html" not in request.headers.get("accept", ""):
            raise
        return await _form_page(request, own_page(body.onward if isinstance(body, LoginForm) else None), problem)
    if not is_form:
        return json_answer(_token_answer(opened))
    keep_cookies(services, request, opened.identity, opened.token)
    return RedirectResponse(own_page(body.onward if isinstance(body, LoginForm) else None), 303, _NO_STORE)


@router.post("/logout", summary="Log out", status_code=204)
async def logout(request: Request, identity: Viewer) -> Response:
    """End this session: its tokens are refused from now on, its streams end."""
    services = services_of(request)
    async with services.database() as connection:
        await services.sessions.close(connection, identity)
    services.cookies.drop(request)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return RedirectResponse("/login", 303, _NO_STORE)
    return Response(status_code=204)


@router.get("/api/session", summary="Who is logged in", response_model=Session)
async def session(request: Request, identity: Viewer) -> Response:
    """Who is logged in, what they may see, and the CSRF token for changes by cookie."""
    tokens = services_of(request).sessions.tokens
    answer = {**_user(identity), "csrf_token": tokens.csrf(identity.session_id)}
    response = json_answer(answer)
    response.headers.update(_NO_STORE)
    return response


@router.post(
    "/api/session/refresh",
    summary="Renew a program's token",
    response_model=SessionToken,
    responses=refusals({409: ("refreshed_already", "The session was refreshed at the same time: use that token.")}),
)
async def refresh(request: Request, identity: Viewer) -> Response:
    """A new token for a program; the old one holds for another minute. Browsers' cookies are renewed by themselves."""
    if identity.kind != "bearer":
        raise ProblemError(400, "invalid", "Only the session of a program that has logged in is renewed like that.")
    services = services_of(request)
    async with services.database() as connection:
        opened = await services.sessions.refresh(connection, identity)
    return json_answer(_token_answer(opened))


async def _form_page(request: Request, onward: str, problem: ProblemError | None = None) -> Response:
    page = await pages.shell(request, None)
    status, detail = (200, None) if problem is None else (problem.status, pages.said(page, problem))
    answer = pages.answer(request, page, "home/login.html", status=status, problem=detail, onward=onward)
    if problem is not None and problem.retry_after is not None:
        answer.headers["retry-after"] = str(problem.retry_after)
    return answer


async def _body(request: Request, *, is_form: bool) -> LoginBody:
    content = await read_body(request, _BODY_BYTES, "A login is a few words long.")
    body: LoginBody
    if is_form:
        body = _form(content)
    else:
        try:
            body = msgspec.json.decode(content, type=LoginBody)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise ProblemError(400, "invalid", 'Send {"login": ..., "password": ...} as JSON, or a form.') from None
    if not body.login.strip() or not body.password or not body.login.isprintable():
        raise ProblemError(400, "invalid", "A login takes a name and a password.")
    return body


def _form(content: bytes) -> LoginForm:
    try:
        fields = parse_qs(content.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise ProblemError(400, "invalid", "The form cannot be read.") from None
    return LoginForm(*(fields.get(name, [""])[0] for name in ("login", "password", "next")))


def _token_answer(opened: Opened) -> dict[str, Any]:
    return {
        "access_token": opened.token,
        "token_type": "Bearer",
        "expires_at": opened.identity.expires_at,
        "user": _user(opened.identity),
    }


def _user(identity: Identity) -> dict[str, Any]:
    return {
        "login": identity.login,
        "role": identity.role,
        "projects": None if identity.project_ids is None else sorted(identity.project_ids),
        "expires_at": identity.expires_at,
    }
