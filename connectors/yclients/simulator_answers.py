"""The envelope of the simulated API, its refusals, and its filters by time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.responses import Response

from connectors.yclients.simulator_objects import JSON

LIMIT_SAID = "Превышен лимит запросов"
NOT_FOUND_SAID = "Не найдено"


class ApiError(Exception):
    """A refusal of the API."""

    def __init__(self, status: int, message: str, errors: Any = None, **meta: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.meta: JSON = {"message": message, **({} if errors is None else {"errors": errors}), **meta}


def answer(data: Any, meta: Any = None, status: int = 200) -> Response:
    """`meta` None is the empty list that PHP makes of nothing."""
    return _json({"success": True, "data": data, "meta": [] if meta is None else meta}, status)


def refusal(error: ApiError) -> Response:
    return _json({"success": False, "data": None, "meta": error.meta}, error.status)


def _json(body: JSON, status: int) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json; charset=UTF-8")


def whole(params: Mapping[str, str], name: str, default: int | None = None) -> int | None:
    """Raises ApiError (400)."""
    text = params.get(name, "")
    if not text:
        return default
    try:
        return int(float(text))  # clients of this API send 1.0
    except ValueError:
        raise ApiError(400, f"Неверное значение {name}") from None


def day(params: Mapping[str, str], name: str) -> date | None:
    """Raises ApiError (400)."""
    text = params.get(name, "")
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        raise ApiError(400, f"Неверное значение {name}") from None


def moment(params: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime | None:
    """A time of a filter; without an offset it is of that zone. Raises ApiError (400)."""
    text = params.get(name, "")
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ApiError(400, f"Неверное значение {name}") from None
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=zone)
