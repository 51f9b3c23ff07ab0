"""Cursors of the API's lists. They are opaque to callers; those of lists that go by ids are the last id of a page."""

from __future__ import annotations

from dashboard.numbers import whole
from web.problems import ProblemError


def id_of(after: str | None) -> int | None:
    """The id after which a page begins; None: it is the first. Raises ProblemError, 400."""
    if not after:
        return None
    number = whole(after)
    if not number:
        raise invalid_cursor()
    return number


def invalid_cursor() -> ProblemError:
    return ProblemError(
        400, "invalid_cursor", "The cursor is not one that was given with a page: begin with the first page."
    )
