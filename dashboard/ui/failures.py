"""Refusals as pages for browsers; programs and scripts get problem+json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from fastapi import Request
from starlette.responses import RedirectResponse, Response

from dashboard.guard import identify
from dashboard.identity import Identity
from dashboard.marks import N_
from dashboard.services import services_of
from dashboard.ui import pages
from dashboard.ui.pages import Shell
from dashboard.ui.preferences import preferences_of
from web.problems import HANDLERS as PROBLEM_HANDLERS
from web.problems import ProblemError

log = structlog.get_logger()

TITLES: Mapping[int, str] = {
    400: N_("This cannot be read"),
    403: N_("Not allowed"),
    404: N_("Nothing here"),
    405: N_("Not possible here"),
    409: N_("Something else was faster"),
    413: N_("Too large"),
    429: N_("Too many requests"),
    500: N_("This failed"),
    503: N_("Not available just now"),
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
        page = await _shell(request, problem.status_code)
        made = pages.answer(
            request, page, "ui/problem.html", status=problem.status_code,
            title=TITLES.get(problem.status_code, TITLES[500]), detail=_sentence(page, error, problem),
            again=page.this_page() if problem.status_code >= 500 and request.method == "GET" else None,
        )  # fmt: skip
        for name in ("allow", "retry-after"):
            if name in problem.headers:
                made.headers[name] = problem.headers[name]
        return made

    return answer


def _sentence(page: Shell, error: Exception, problem: Response) -> str:
    if isinstance(error, ProblemError):
        return pages.said(page, error)
    return pages.translated(page)(str(msgspec.json.decode(problem.body)["detail"]))


async def _shell(request: Request, status: int) -> Shell:
    """With the navigation of whoever asks, as far as that can be known without a database that may be the problem."""
    identity: Identity | None = getattr(request.state, "identity", None)
    if status < 500:
        try:
            if identity is None:  # the address is none, so that nobody has asked yet who this is
                identity = await identify(services_of(request), request)
            return await pages.shell(request, identity)
        except ProblemError as problem:
            log.debug("page_without_navigation", code=problem.code)
    preferences = preferences_of(request)
    return Shell("", None, "", preferences, {}, frozenset(), request.url.path, request.query_params)


HANDLERS: Mapping[int | type[Exception], Callable[[Request, Exception], Any]] = {
    kind: _page_of(handler) for kind, handler in PROBLEM_HANDLERS.items()
}
"""For FastAPI's `exception_handlers`."""
