"""Error answers: RFC 9457 problem+json, one clear sentence each, never a secret."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Send

from connectors.errors import ErrorWord

_WORDS: dict[int, ErrorWord] = {400: "skip_row", 401: "config", 404: "config", 408: "retry", 429: "retry", 503: "retry"}
_CONTENT_TYPE = "application/problem+json"


class ProblemError(Exception):
    """A request that is refused.

    `code` is a stable word for programs and metrics, `detail` a sentence for people, `retry_after` whole seconds.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, retry_after: int | None = None, close: bool = False, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.close = close
        """Whether the connection cannot be used any more: the rest of the request was not read."""
        self.extra = extra

    def content(self) -> bytes:
        return msgspec.json.encode(
            {
                "type": "about:blank",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "code": self.code,
                "word": _WORDS.get(self.status, "permanent"),
                "detail": self.detail,
                **self.extra,
            }
        )

    def headers(self) -> dict[str, str]:
        headers = {"content-type": _CONTENT_TYPE}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = "X-Webhook-Token"
        if self.close:
            headers["connection"] = "close"
        return headers

    def response(self) -> Response:
        return Response(self.content(), self.status, self.headers())


async def send_problem(send: Send, problem: ProblemError) -> None:
    """Answer with a problem, without the detour over a Response."""
    content = problem.content()
    headers = [(name.encode(), value.encode()) for name, value in problem.headers().items()]
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def database_away() -> ProblemError:
    """What a request is told that needs the database."""
    return ProblemError(
        503, "database_away", "The database is away; nothing was done, ask again in a moment.", retry_after=5
    )
