"""Who may pass: dependencies of the routes.

Every route but those of `dashboard.routes.public` needs a login. What changes something and comes by cookie must also
prove that one of our pages sent it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from dashboard.cookies import CSRF_FIELD, CSRF_HEADER
from dashboard.identity import Identity
from dashboard.problems import UnauthorisedError, forbidden_to_viewers, people_only, unknown_project
from dashboard.services import Services, services_of
from database.repositories import settings
from database.repositories.settings import ProjectRow
from web.problems import ProblemError

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM = "application/x-www-form-urlencoded"
_FORM_BYTES, _FORM_FIELDS = 256 * 1024, 10_000
"""Larger forms bring the header: a body is not read before it is known to be from our pages. Settings of a project with
some hundred statuses are as large as that."""


async def signed_in(request: Request) -> Identity:
    """The user of a request. Raises ProblemError: 401 nobody, 403 the request does not come from our pages."""
    services = services_of(request)
    identity = await identify(services, request)
    request.state.identity = identity  # for the page about a refusal
    if request.method not in _SAFE and _bearer(request) is None:
        require_own_origin(services, request)
        await _require_csrf(services, request, identity)
    return identity


async def admin(identity: Annotated[Identity, Depends(signed_in)]) -> Identity:
    """Raises ProblemError, 403, for viewers."""
    if not identity.is_admin:
        raise forbidden_to_viewers()
    return identity


async def form_sender(request: Request) -> Identity:
    """An admin who sends a form that may be large: it has the proof in a field, to be looked at once it is read, by
    `require_proof`. That it comes from our own pages is known before a byte of it is read."""
    services = services_of(request)
    identity = await identify(services, request)
    request.state.identity = identity
    if not identity.is_admin:
        raise forbidden_to_viewers()
    if _bearer(request) is None:
        require_own_origin(services, request)
    return identity


def require_proof(request: Request, identity: Identity, field: str | None) -> None:
    """Raises ProblemError, 403, unless the header or the form's field proves that the form is of our pages."""
    if _bearer(request) is None:
        _check_csrf(services_of(request), identity, request.headers.get(CSRF_HEADER, field))


async def person(identity: Annotated[Identity, Depends(signed_in)]) -> Identity:
    """Raises ProblemError, 403, for scripts."""
    if identity.kind == "script":
        raise people_only()
    return identity


async def manager(identity: Annotated[Identity, Depends(admin)]) -> Identity:
    """Raises ProblemError, 403, for viewers and for scripts, so that no token can make another one."""
    return await person(identity)


Viewer = Annotated[Identity, Depends(signed_in)]
"""A parameter of routes that every user may call, and every script with its token."""
Admin = Annotated[Identity, Depends(admin)]
"""A parameter of routes that only admins may call; a script with an admin's rights may be limited to some projects."""
FormSender = Annotated[Identity, Depends(form_sender)]
"""The same for large forms; the route must call `require_proof`."""
Person = Annotated[Identity, Depends(person)]
"""A parameter of routes that every user may call, but no script."""
Manager = Annotated[Identity, Depends(manager)]
"""A parameter of routes that only admins may call who have logged in: users, tokens."""


async def identify(services: Services, connection: HTTPConnection, *, by_query: bool = False) -> Identity:
    """The user or the script of a request or a WebSocket: by `Authorization: Bearer`, else by cookie.

    `by_query`: `?access_token=` too, for clients that cannot set headers. Raises ProblemError: 401, 503.
    """
    token = _bearer(connection)
    if token is None and by_query:
        token = connection.query_params.get("access_token") or None
    cookie = None
    if token is None:
        cookie = token = services.cookies.token(connection)
    if token is None:
        raise UnauthorisedError("not_logged_in", "This address needs a login: log in at /login, or send a token.")
    async with services.database() as database:
        known = await services.sessions.authenticate(database, token)
    if cookie is not None and known.identity.kind != "cookie":
        raise UnauthorisedError("not_logged_in", "This token is none of a browser: send it as Authorization: Bearer.")
    if cookie is not None and known.new_token is not None:
        keep_cookies(services, connection, known.identity, known.new_token)
    return known.identity


def keep_cookies(services: Services, connection: HTTPConnection, identity: Identity, token: str) -> None:
    """Let the answer give the browser this session."""
    end = services.sessions.tokens.read(token).expires_at
    services.cookies.keep(connection, token, services.sessions.tokens.csrf(identity.session_id), end)


def require_own_origin(services: Services, connection: HTTPConnection) -> None:
    """Refuse what a page of somebody else sends with the user's cookie. Raises ProblemError, 403."""
    origin = connection.headers.get("origin")
    if origin is None:
        if connection.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return
    elif origin in services.origins or urlsplit(origin).netloc == connection.headers.get("host"):
        return
    raise ProblemError(403, "foreign_origin", "This request comes from a page of another site.")


async def wanted_projects(services: Services, identity: Identity, names: Collection[str]) -> frozenset[str] | None:
    """The projects that a request names, or None if it names none. Raises ProblemError, 404, if one cannot be seen."""
    if not names:
        return None
    if not all(identity.may_see(name) and "\0" not in name for name in names):
        raise unknown_project()
    async with services.database() as connection:
        for name in set(names):
            if await settings.load_project(connection, name) is None:
                raise unknown_project()
    return frozenset(names)


async def visible_project(services: Services, identity: Identity, project_id: str) -> ProjectRow:
    """The project of an address. Raises ProblemError, 404, if there is none that this user may see."""
    if not identity.may_see(project_id) or "\0" in project_id:
        raise unknown_project()
    async with services.database() as connection:
        row = await settings.load_project(connection, project_id)
    if row is None:
        raise unknown_project()
    return row


async def _require_csrf(services: Services, request: Request, identity: Identity) -> None:
    given = request.headers.get(CSRF_HEADER)
    if given is None and _is_small_form(request):
        field = (await request.form(max_fields=_FORM_FIELDS)).get(CSRF_FIELD)
        given = field if isinstance(field, str) else None
    _check_csrf(services, identity, given)


def _check_csrf(services: Services, identity: Identity, given: str | None) -> None:
    if given is None or not services.sessions.tokens.is_csrf(identity.session_id, given):
        raise ProblemError(
            403, "no_csrf_token",
            "The request does not prove that it comes from our pages: send %(header)s, as GET /api/session says.",
            values={"header": CSRF_HEADER},
        )  # fmt: skip


def _is_small_form(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    is_small = length.isdecimal() and int(length[:9]) <= _FORM_BYTES and len(length) <= 9
    return is_small and request.headers.get("content-type", "").startswith(_FORM)


def _bearer(connection: HTTPConnection) -> str | None:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
