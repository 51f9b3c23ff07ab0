"""Refusals as pages for browsers; programs and scripts get problem+json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from dashboard.identity import Identity
from dashboard.ui import pages
from dashboard.ui.pages import Shell
from dashboard.ui.preferences import preferences_of
from web.problems import HANDLERS as PROBLEM_HANDLERS
from web.problems import ProblemError

TITLES: Mapping[int, str] = {
    400: "This cannot be read",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not possible here",
    409: "Something else was faster",
    413: "Too large",
    429: "Too many requests",
    500: "This failed",
    503: "Not available just now",
}


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks, and not a program or a script of ours."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _page_of(handler: Callable[[Request, Exception], Any]) -> Callable[[Request, Exception], Any]:
    async def answer(request: Request, error: Exception) -> Response:
        problem: Response = await handler(request, error)
        if not wants_page(request):
            return problem
        if problem.status_code == 401:
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            onward = "" if request.method != "GET" or here == "/" else f"?next={quote(here, safe='')}"
            return RedirectResponse(f"/login{onward}", 303, {"cache-control": "no-store"})
        identity: Identity | None = getattr(request.state, "identity", None)
        page = await _shell(request, identity)
        detail = error.detail if isinstance(error, ProblemError) else ""
        made = pages.answer(
            request, page, "ui/problem.html", status=problem.status_code,
            title=TITLES.get(problem.status_code, TITLES[500]), detail=detail,
        )  # fmt: skip
        if "retry-after" in problem.headers:
            made.headers["retry-after"] = problem.headers["retry-after"]
        return made

    return answer


async def _shell(request: Request, identity: Identity | None) -> Shell:
    try:
        return await pages.shell(request, identity)
    except ProblemError:  # the database is away, which is what the page is about
        preferences = preferences_of(request)
        return Shell("", None, "", preferences, {}, frozenset(), request.url.path, request.query_params)


HANDLERS: Mapping[int | type[Exception], Callable[[Request, Exception], Any]] = {
    kind: _page_of(handler) for kind, handler in PROBLEM_HANDLERS.items()
}
"""For FastAPI's `exception_handlers`."""
