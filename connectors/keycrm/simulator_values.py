"""Values as KeyCRM writes them: times, numbers, Laravel-style errors and body validation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NoReturn

JSON = dict[str, Any]

_CENT = Decimal("0.01")


class ApiError(Exception):
    """An error answer of the API: `message`, and `errors` by field for 422."""

    def __init__(self, status: int, message: str, errors: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: JSON = {"message": message}
        if errors is not None:
            self.body["errors"] = dict(errors)


class Errors:
    """Collects what is wrong with a body; `stop()` raises the 422 that Laravel would answer."""

    def __init__(self) -> None:
        self.by_field: dict[str, list[str]] = {}

    def add(self, field: str, message: str) -> None:
        self.by_field.setdefault(field, []).append(message)

    def required(self, field: str) -> None:
        self.add(field, f"The {label(field)} field is required.")

    def invalid(self, field: str) -> None:
        self.add(field, f"The selected {label(field)} is invalid.")

    def fail(self, field: str, message: str) -> NoReturn:
        """Add this, and raise ApiError."""
        self.add(field, message)
        self.stop()
        raise AssertionError("stop() raises where there is an error")

    def stop(self) -> None:
        """Raise ApiError if anything was added."""
        if not self.by_field:
            return
        messages = [message for of_field in self.by_field.values() for message in of_field]
        more = len(messages) - 1
        tail = "" if more == 0 else f" (and {more} more error{'s' if more > 1 else ''})"
        raise ApiError(422, messages[0] + tail, self.by_field)


def label(field: str) -> str:
    """Laravel's name of a field in messages: `source_id` -> `source id`."""
    return field.replace("_", " ")


def utc_now() -> datetime:
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """`2026-03-02T09:15:00.000000Z`. KeyCRM stores whole seconds; the text sorts as the time does."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def read_time(text: str) -> datetime:
    """A time in any form that clients send; without an offset it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text.strip())
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def read_stamp(value: Any, field: str, errors: Errors) -> str | None:
    """A time of a body as a stamp; None if there is none or it is unreadable (then noted in `errors`)."""
    if value is None or value == "":
        return None
    try:
        return stamp(read_time(str(value)))
    except ValueError:
        errors.add(field, f"The {label(field)} is not a valid date.")
        return None


def read_day(value: Any, field: str, errors: Errors) -> str | None:
    """A date of a body as `YYYY-MM-DD`; None if there is none or it is unreadable (then noted in `errors`)."""
    if value is None or value == "":
        return None
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        errors.add(field, f"The {label(field)} is not a valid date.")
        return None


def number(value: Any) -> int | float:
    """Money and quantities as JSON numbers: 1200, 99.5, never a text. Raises ValueError."""
    if isinstance(value, bool) or value is None:
        raise ValueError("not a number")
    try:
        exact = Decimal(str(value)).quantize(_CENT, ROUND_HALF_UP)
    except ArithmeticError as error:
        raise ValueError("not a number") from error
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def read_number(
    value: Any, field: str, errors: Errors, *, default: int | float = 0, lowest: int | None = 0
) -> int | float:
    """A number of a body; `default` if there is none or it is not one (then noted in `errors`)."""
    if value is None or value == "":
        return default
    try:
        read = number(value)
    except ValueError:
        errors.add(field, f"The {label(field)} must be a number.")
        return default
    if lowest is not None and read < lowest:
        errors.add(field, f"The {label(field)} must be at least {lowest}.")
    return read


def read_id(value: Any) -> int | None:
    """An id given as a number or as digits; None if it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return None


def read_texts(value: Any) -> list[str]:
    """E-mails or phones of a body: a list, or one text."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return []
    return [str(item) for item in value if item not in (None, "")]


def read_rows(body: JSON, field: str, errors: Errors, *, most: int | None = None, required: bool = False) -> list[JSON]:
    """A list of objects in a body. What is wrong with it is noted in `errors`."""
    rows = body.get(field)
    if rows is None or rows == []:
        if required:
            errors.required(field)
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        errors.add(field, f"The {label(field)} must be an array.")
        return []
    if most is not None and len(rows) > most:
        errors.add(field, f"The {label(field)} must not have more than {most} items.")
    return rows


def digits(phone: str) -> str:
    """What phones are compared by."""
    return "".join(character for character in phone if character.isdigit())
