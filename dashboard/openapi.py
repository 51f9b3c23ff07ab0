"""The OpenAPI document: what all routes share is said here once, so that a route says only what is its own."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field

from dashboard import guard
from dashboard.cookies import CSRF_HEADER
from dashboard.openapi_words import FIELDS, PARAMETERS
from database.repositories.words import ErrorWord

TITLE = "crm-elt dashboard"
DESCRIPTION = f"""\
Orders, working-time metrics, settings and integrations of the projects that the caller may see.

**Login.** Programs send `Authorization: Bearer TOKEN`: a token for scripts (`crm_...`, made by an admin on the page
*Tokens*), or the token that `POST /login` gives for a login and a password as JSON. Browsers send the session's cookie,
and with whatever changes something the header `{CSRF_HEADER}` that `GET /api/session` tells.

**Rights.** Admins change, viewers read; everybody sees the projects they were given and no others. What one may not see
does not exist: 404.

**Conventions.** Every object carries its `project_id`. Lists are `{{"items": [...], "next": cursor}}`: send the cursor
as `after` for the next page; null is the last one, and `invalid_cursor` says that it is none of this list. Dictionaries
and settings have an `ETag`: with `If-None-Match` the answer is 304 while nothing has changed. Instants are ISO 8601 in
UTC, durations are seconds (`*_seconds`), money is text. Errors are RFC 9457 problems: `code` is a stable word for
programs, `detail` a sentence for people, `word` says whether asking again helps (`retry`), settings are wrong
(`config`), or the request is (`permanent`, `skip_row`)."""

TAGS: dict[str, str] = {
    "projects": "The CRM accounts: how they are, their orders, what needs somebody.",
    "orders": "Orders as they are now, their timelines and overrides.",
    "dicts": "Dictionaries: statuses and their groups.",
    "analytics": "Aggregated metrics of the marts.",
    "stream": "Changes as they are committed.",
    "settings": "Rules of a project: SLA, cycles, urgency, working hours.",
    "integrations": "Credentials, tests, logs and statistics of the CRMs.",
    "sync": "Two-way synchronisation: queues and comparisons.",
    "dead-letters": "What could not be applied or sent.",
    "conflicts": "What was changed on both sides.",
    "audit": "Who changed what.",
    "users": "Who may log in.",
    "tokens": "Tokens for scripts.",
    "session": "The session of the caller.",
    "account": "The caller's own password.",
    "health": "Liveness and readiness.",
}
_PROBLEM_TYPE = "application/problem+json"
_STREAM, _HUB = "/api/stream/orders", "/hubs/keycrm/negotiate"
_REFUSALS: dict[str, tuple[str, str, ErrorWord, str]] = {
    "400": (
        "The request cannot be read.", "invalid", "skip_row",
        "query.limit: Input should be less than or equal to 500.",
    ),
    "401": (
        "Nobody is logged in.", "not_logged_in", "config",
        "This address needs a login: log in at /login, or send a token.",
    ),
    "403": (
        "Only an admin may do this, or no page of ours sent it.", "admins_only", "permanent",
        "Only an admin may do this.",
    ),
    "404": (
        "There is no such thing that you may see.", "unknown_project", "config",
        "There is no such project that you may see.",
    ),
    "422": (
        "What is asked for cannot be; nothing was changed.", "refused", "permanent",
        "There is a user ann already: give it a new password instead.",
    ),
    "429": (
        "Too many attempts have failed; see Retry-After.", "locked", "retry",
        "Too many logins have failed: try again in 15 min.",
    ),
    "503": (
        "The database is away; ask again, see Retry-After.", "database_away", "retry",
        "The database is away; nothing was done, ask again in a moment.",
    ),
}  # fmt: skip
"""Status -> what it means; and of an example: code, word, detail."""


class Problem(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Always this: `code` tells more.", examples=["about:blank"])
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(description="The same as the answer's.", examples=[404])
    code: str = Field(description="A stable word for programs.", examples=["unknown_project"])
    word: str = Field(description="retry, config, permanent or skip_row.", examples=["config"])
    detail: str = Field(description="A sentence for people.", examples=["There is no such project that you may see."])


def describe(app: FastAPI, cookie: str) -> None:
    """Complete the app's OpenAPI document; `cookie` is the name of the session's cookie.

    What every route may answer is added to it. Refusals of its own (422, 429) a route names alone,
    `responses={422: {}}`; those that mean something else there it says by `refusals`. Parameters and fields that mean
    the same everywhere have their words from dashboard.openapi_words.
    """
    own = app.openapi
    app.title, app.description, app.version = TITLE, DESCRIPTION, _version()

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = own()
            schema["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
            components = schema.setdefault("components", {})
            schemas = components.setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            if "JsonValue" in schemas:
                schemas["JsonValue"]["description"] = "Any JSON."
            for model in schemas.values():
                for name, field in model.get("properties", {}).items():
                    if name in FIELDS:
                        field.setdefault("description", FIELDS[name])
            components["securitySchemes"] = _schemes(cookie)
            components["responses"] = {f"Problem{status}": _refusal(status) for status in _REFUSALS}
            for route in api_routes(app):
                for method in route.methods or ():
                    _complete(schema["paths"][route.path_format][method.lower()], route, method)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def api_routes(app: FastAPI) -> Iterator[APIRoute]:
    """The routes that are in the document; areas put prefixes on their routers, not where these are included."""
    for context in iter_route_contexts(app.routes):
        if isinstance(context.route, APIRoute) and context.route.include_in_schema:
            yield context.route


def _version() -> str:
    try:
        return importlib.metadata.version("crm-elt")
    except importlib.metadata.PackageNotFoundError:  # it runs from a folder, not installed
        return "0"


def _schemes(cookie: str) -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "For scripts, or one that POST /login gave."},
        "cookie": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "A browser's session."},
        "query": {
            "type": "apiKey", "in": "query", "name": "access_token",
            "description": "The bearer token, for clients of streams that cannot set headers.",
        },
        "csrf": {
            "type": "apiKey", "in": "header", "name": CSRF_HEADER,
            "description": "With the cookie, for whatever changes something: `csrf_token` of GET /api/session.",
        },
    }  # fmt: skip


def refusals(said: Mapping[int, tuple[str, str]]) -> dict[int | str, dict[str, Any]]:
    """Refusals that mean something of their own at a route, for its `responses`: status -> code, sentence."""
    return {
        status: {"description": detail, "content": _problem(status, code, _word(status), detail)}
        for status, (code, detail) in said.items()
    }


def _refusal(status: str) -> dict[str, Any]:
    description, code, word, detail = _REFUSALS[status]
    return {"description": description, "content": _problem(int(status), code, word, detail)}


def _problem(status: int, code: str, word: ErrorWord, detail: str) -> dict[str, Any]:
    example = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code, "word": word,
        "detail": detail,
    }  # fmt: skip
    return {_PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}


def _word(status: int) -> ErrorWord:
    return _REFUSALS[str(status)][2] if str(status) in _REFUSALS else "permanent"


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    path = route.path_format
    if "tags" not in operation:
        operation["tags"] = [_tag(path)]
    for parameter in operation.get("parameters", ()):
        if words := PARAMETERS.get(parameter["name"]):
            parameter.setdefault("description", words.format(maximum=parameter["schema"].get("maximum")))
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]  # what FastAPI would say; ours is 400
    for status in answers.keys() & _REFUSALS.keys():
        if _PROBLEM_TYPE not in answers[status].get("content", {}):  # the route says that there is one, and no more
            answers[status] = _shared(status)
    wanted = ["503"]
    if path.startswith("/api/") or path in ("/logout", _HUB):
        is_change = method not in ("GET", "HEAD") and path != _HUB
        operation["security"] = [{"bearer": []}, {"cookie": [], "csrf": []} if is_change else {"cookie": []}]
        if path in (_STREAM, _HUB):
            operation["security"].append({"query": []})
        wanted += ["400", "401"]
        if is_change or _is_for_admins(route.dependant):
            wanted.append("403")
        if "{" in path or any(item["name"] == "project" for item in operation.get("parameters", ())):
            wanted.append("404")
    for status in sorted(wanted):
        answers.setdefault(status, _shared(status))
    operation["responses"] = dict(sorted(answers.items()))


def _shared(status: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/Problem{status}"}


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    name = parts[1] if parts[0] == "api" and len(parts) > 1 else parts[0]
    return name if name in TAGS else {"login": "session", "logout": "session", "hubs": "stream"}.get(name, name)


def _is_for_admins(dependant: Dependant) -> bool:
    return dependant.call in (guard.admin, guard.manager) or any(map(_is_for_admins, dependant.dependencies))
