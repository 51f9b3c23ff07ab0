"""Values as RetailCRM writes and reads them: wall times, numbers, PHP's bracketed parameters, errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec
from fastapi import Response

JSON = dict[str, Any]

_CENT = Decimal("0.01")
_encode = msgspec.json.Encoder().encode


class ApiError(Exception):
    """An error answer of the API."""

    def __init__(
        self, status: int, message: str, errors: Mapping[str, str] | Sequence[str] | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: JSON = {"success": False, "errorMsg": message, **more}
        if errors:
            self.body["errors"] = errors


def answer(body: JSON, status: int = 200) -> Response:
    return Response(_encode({"success": True, **body}), status, media_type="application/json")


def utc_now() -> datetime:
    return datetime.now(UTC)


def wall(at: datetime, zone: tzinfo) -> str:
    """`2026-03-02 12:00:00`, without an offset, as the account's clocks on the wall show it."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def read_wall(text: str) -> str:
    """A time or date of a parameter, as a text that sorts. Raises ValueError."""
    text = text.strip()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        date.fromisoformat(text)
        return text
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ007


def number(value: Any) -> int | float:
    """Money as a JSON number: 1200, 99.5."""
    exact = Decimal(str(value)).quantize(_CENT, ROUND_HALF_UP)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def php_params(pairs: Iterable[tuple[str, str]]) -> JSON:
    """`filter[ids][]=1&filter[ids][]=2` -> {"filter": {"ids": ["1", "2"]}}, as PHP reads a query."""
    result: JSON = {}
    for name, value in pairs:
        root, *steps = re.split(r"\]\[|\[", name.removesuffix("]"))
        target: Any = result
        for key, following in zip([root, *steps], [*steps, None], strict=True):
            if following is None:
                if isinstance(target, list):
                    target.append(value)
                else:
                    target[key] = value
                break
            if isinstance(target, list):
                target.append({})
                target = target[-1]
                continue
            inner = target.get(key)
            if not isinstance(inner, dict | list):
                inner = target[key] = [] if following == "" else {}
            target = inner
    return result


def texts(value: Any) -> list[str]:
    """A parameter that is a list; PHP reads `x[0]=a` as one too."""
    if isinstance(value, dict):
        value = list(value.values())
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def read_json(form: Mapping[str, str], name: str) -> Any:
    """An entity, which a form holds as JSON text. Raises ApiError 400."""
    text = form.get(name)
    if not text:
        raise ApiError(400, f"Parameter '{name}' is missing")
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise ApiError(400, "Errors in the entity format", [f"{name}: not valid JSON"]) from None


def snake(name: str) -> str:
    """`managerComment` is `manager_comment` in a history."""
    return "".join(f"_{character.lower()}" if character.isupper() else character for character in name)
