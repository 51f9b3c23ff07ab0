"""Error answers: RFC 9457 problem+json, one clear sentence each, never a secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from connectors.errors import ErrorWord

_WORDS: dict[int, ErrorWord] = {400: "skip_row", 401: "config", 404: "config", 408: "retry", 429: "retry", 503: "retry"}
_CONTENT_TYPE = "application/problem+json"

log = structlog.get_logger()


class ProblemError(Exception):
    """A request that is refused.

    `code` is a stable word for programs and metrics, `detail` a sentence for people, `retry_after` whole seconds.
    With `values` the sentence names them as `%(name)s`, so that it can be translated before they are put in.
    """

    challenge = "X-Webhook-Token"
    """What a 401 asks for (WWW-Authenticate)."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        values: Mapping[str, object] | None = None,
        retry_after: int | None = None,
        close: bool = False,
        **extra: Any,
    ) -> None:
        self.sentence = detail
        """As it can be translated, without its values."""
        self.values = values
        self.status = status
        self.code = code
        self.detail = detail if values is None else detail % values
        super().__init__(self.detail)
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
            headers["www-authenticate"] = self.challenge
        if self.close:
            headers["connection"] = "close"
        return headers

    def response(self) -> Response:
        return Response(self.content(), self.status, self.headers())


def database_away() -> ProblemError:
    """What a request is told that needs the database."""
    return ProblemError(
        503, "database_away", "The database is away; nothing was done, ask again in a moment.", retry_after=5
    )


async def _answer_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _answer_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {404: "There is no such address.", 405: "This address does not take this method."}
    response = ProblemError(error.status_code, "http", sentences.get(error.status_code, str(error.detail))).response()
    if error.headers:
        response.headers.update(error.headers)
    return response


async def _answer_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return ProblemError(400, "invalid", f"{where}: {first['msg']}.").response()


async def _answer_failure(_: Request, error: Exception) -> Response:
    log.warning("request_failed", kind=type(error).__name__)  # uvicorn logs the traceback, without variables
    return ProblemError(500, "failure", "The server failed on this request; its log says why.").response()


HANDLERS: Mapping[int | type[Exception], Callable[[Request, Exception], Any]] = {
    ProblemError: _answer_problem,
    HTTPException: _answer_http_error,
    RequestValidationError: _answer_invalid,
    Exception: _answer_failure,
}
"""For FastAPI's `exception_handlers`: every error answer is a problem."""
