"""Answers and errors as iiko writes them."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

JSON = dict[str, Any]
_numbers = itertools.count(1)


class ApiError(Exception):
    """An error answer: `{correlationId, errorDescription, error}`."""

    def __init__(self, status: int, description: str, error: str | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.body = error_body(description, error)


def answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json; charset=utf-8")


def correlated(**fields: Any) -> Response:
    """A good answer with its correlationId."""
    return answer({"correlationId": _correlation_id(), **fields})


def error_body(description: str, error: str | None) -> JSON:
    return {"correlationId": _correlation_id(), "errorDescription": description, "error": error}


async def body_of(request: Request) -> JSON:
    """Raises ApiError."""
    try:
        value = msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        raise ApiError(400, "The request body is not JSON") from None
    if not isinstance(value, dict):
        raise ApiError(400, "The request body is not an object")
    return value


def needed(body: JSON, name: str, kind: type) -> Any:
    """A field that must be there. Raises ApiError."""
    value = body.get(name)
    if type(value) is not kind or value in ("", []):
        raise ApiError(400, f"The {name} field is required.", "Validation_Required")
    return value


def _correlation_id() -> str:
    return f"00000000-0000-4000-9000-{next(_numbers):012d}"
