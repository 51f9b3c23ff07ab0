"""Cursors of the API's lists. They are opaque to callers; those of lists that go by ids are the last id of a page."""

from __future__ import annotations

from web.problems import ProblemError

_LARGEST_ID = 2**63 - 1


def id_of(after: str | None) -> int | None:
    """The id after which a page begins; None: it is the first. Raises ProblemError, 400."""
    if not after:
        return None
    is_number = after.isascii() and after.isdecimal() and len(after) <= 19
    if not is_number or not 0 < int(after) <= _LARGEST_ID:
        raise invalid_cursor()
    return int(after)


def invalid_cursor() -> ProblemError:
    return ProblemError(
        400, "invalid_cursor", "The cursor is not one that was given with a page: begin with the first page."
    )
