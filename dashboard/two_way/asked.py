"""What addresses of the sync's pages and routes ask for: filters, cursors, numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.datastructures import QueryParams

from dashboard import cursors
from dashboard.numbers import whole
from database.connection import Connection
from database.repositories import dead_letter_lists
from database.repositories.dead_letter_lists import STATES, LetterFilter, State

PAGE_ROWS = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of rows begins, by id; at most one is set."""

    before_id: int | None = None
    after_id: int | None = None


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """A page of rows, the newest first, and the cursors of its neighbours."""

    items: list[T]
    newer: str | None
    older: str | None


def number_of(text: str | None) -> int | None:
    """An id, or None for anything else."""
    return whole(text) or None


def cursor_of(query: QueryParams) -> Cursor:
    """Of a page: `after` is what comes next, older rows; `before` what came before, newer ones."""
    older, newer = number_of(query.get("after")), number_of(query.get("before"))
    return Cursor(before_id=older) if older is not None else Cursor(after_id=newer)


def api_cursor(after: str | None) -> Cursor:
    """Of a JSON list. Raises ProblemError, 400."""
    return Cursor(before_id=cursors.id_of(after))


def rows_of(found: Sequence[T], ids: Sequence[int], cursor: Cursor, size: int = PAGE_ROWS) -> Rows[T]:
    """Of `size` + 1 rows that were asked for. `ids` are theirs, the newest first."""
    has_more = len(found) > size
    items, kept = list(found), list(ids)
    if has_more:
        # One more than a page, on the side that the walk went to.
        items, kept = (items[1:], kept[1:]) if cursor.after_id is not None else (items[:size], kept[:size])
    if not items:
        return Rows([], None, None)
    came_from_newer = cursor.before_id is not None
    newer = str(kept[0]) if came_from_newer or (cursor.after_id is not None and has_more) else None
    older = str(kept[-1]) if cursor.after_id is not None or has_more else None
    return Rows(items, newer, older)


def one_of(text: str | None, words: Collection[str]) -> str | None:
    """The word, if it is one of these: an address may hold anything."""
    return text if text in words else None


def letter_filter(query: QueryParams, project_ids: Sequence[str]) -> LetterFilter:
    """Of a page: `state` is open unless it says `all` or another state."""
    given = query.get("state")
    state: State | None = None if given == "all" else next((word for word in STATES if word == given), "open")
    return LetterFilter(
        tuple(project_ids),
        state,
        one_of(query.get("direction"), ("inbound", "outbound")),
        _short(query.get("source")),
        one_of(query.get("error"), ("retry", "config", "permanent", "skip_row")),
    )


async def known_sources(connection: Connection, project_ids: Sequence[str], chosen: str | None) -> list[str]:
    """What the filter by source offers."""
    found = await dead_letter_lists.sources(connection, project_ids)
    return sorted({*found, *([chosen] if chosen else [])})


def _short(text: str | None) -> str | None:
    return text if text and len(text) <= 60 and text.isprintable() else None
