"""JSON answers of the routes that are no hot path."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response


def json_answer(
    content: Any, *, status: int = 200, location: str | None = None, retry_after: int | None = None
) -> Response:
    """`location`: where to ask on; `retry_after`: whole seconds until asking again is worth it."""
    headers = {"content-type": "application/json"}
    if location is not None:
        headers["location"] = location
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return Response(msgspec.json.encode(content), status, headers)
