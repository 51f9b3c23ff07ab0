"""Reading amoCRM's lists while they change, so that nothing is lost.

A list has pages and no cursor, and a row that changes or is deleted moves the rows behind it forward. Two ways:

- `changes`: what changed in a closed window of `updated_at`, oldest first. Only first pages are asked for; each window
  begins where the page before ended, so there is no place in the list to lose. More rows in one second than a page
  holds are walked. Whether `from` and `to` include their own second is not documented: windows overlap by seconds.
- `walk`: a whole list page by page, where each page begins before the end of the last one and must show a row that was
  read; where it does not, rows have left, and the walk goes back.

Filters are a feature that amoCRM switches on per account; where it is off they are ignored and everything comes. Rows
that were not asked for give that away (`FiltersIgnoredError`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from connectors.amocrm.api import LEAST_PER_PAGE, Api, Listed, Params
from connectors.errors import RetryError
from connectors.keycrm.paging import straddling_page

_MOST_BACK = 200
_SAME_PAGES = 2
_RECENT = 500
_REMEMBERED = 5000
_KEPT = 20
"""Rows of a walk that its stored place remembers."""
Row = dict[str, Any]
Key = tuple[str, int]
"""What tells a row's version: id and updated_at."""


class FiltersIgnoredError(Exception):
    """The account gives rows that were not asked for."""


@dataclass(slots=True)
class Listing:
    """What to read. `limit` becomes smaller where the API fails on large pages."""

    api: Api
    path: str
    key: str
    params: Params
    limit: int

    async def page(self, extra: Params, page: int, limit: int | None = None) -> Listed:
        """A page; `limit` is given where the page's place depends on it."""
        while True:
            try:
                return await self.api.page(self.path, self.key, [*self.params, *extra], page, limit or self.limit)
            except RetryError as error:
                if error.status != 504 or limit is not None or self.limit <= LEAST_PER_PAGE:
                    raise
                self.limit = max(LEAST_PER_PAGE, self.limit // 2)


@dataclass(slots=True)
class Place:
    """Where a walk stands: rows before it, and the last ones of these."""

    offset: int = 0
    recent: list[Key] = field(default_factory=list)


@dataclass(slots=True)
class Read:
    rows: list[Row]
    """Rows that have not been given yet in this reading."""
    problems: list[str]


def row_id(row: Row) -> str | None:
    """The id as text; None if the row has none."""
    value = row.get("id")
    if type(value) is int:
        return str(value)
    return value if type(value) is str and 0 < len(value) <= 100 else None


def row_time(row: Row, name: str = "updated_at") -> int | None:
    value = row.get(name)
    return value if type(value) is int else None


async def walk(listing: Listing, place: Place, extra: Params = ()) -> AsyncIterator[Read]:
    """All rows from the place on, which moves before each page is handed over."""
    given = dict.fromkeys(place.recent)
    recent = place.recent
    back = backs = same = 0
    start = place.offset
    while True:
        page, limit = straddling_page(start, listing.limit)
        try:
            listed = await listing.page(extra, page, limit)
        except RetryError as error:
            if error.status != 504 or listing.limit <= LEAST_PER_PAGE:
                raise
            listing.limit = max(LEAST_PER_PAGE, listing.limit // 2)
            continue
        begin = (page - 1) * limit
        read = _checked(listing, listed, begin)
        keys = [_key(row) for row in read.rows]
        if begin > 0 and recent and not {name for name, _ in recent}.intersection(name for name, _ in keys):
            back, backs = back + 1, backs + 1
            if backs > _MOST_BACK:
                raise RetryError(f"{listing.path}: the list loses rows faster than it can be read")
            start = max(0, start - listing.limit * back)
            continue
        back = 0
        read.rows = [row for row in read.rows if _is_new(given, row)]
        if not read.rows and begin > 0 and listed.has_more and same < _SAME_PAGES:
            same += 1  # an earlier page once more; as often as this it is the list that has grown in front
            continue
        same = 0
        recent = [*recent, *keys][-_RECENT:]
        start = begin + len(listed.rows)
        place.offset, place.recent = start, recent[-_KEPT:]
        if read.rows or read.problems:
            yield read
        if not listed.has_more:
            return


@dataclass(slots=True)
class Window:
    """A closed window of `updated_at`, in whole seconds; `start` moves as it is read."""

    start: int
    end: int


async def changes(listing: Listing, window: Window) -> AsyncIterator[Read]:
    """Rows of the window, oldest first; its start moves before each page is handed over. Raises FiltersIgnoredError."""
    given: dict[str, int] = {}
    is_sure = False
    while True:
        first, end = max(0, window.start - 1), window.end + 1
        listed = await listing.page(_between(first, end), 1)
        read = _checked(listing, listed, 0)
        times = [row_time(row) for row in read.rows]
        outside = [time for time in times if time is not None and not first <= time <= end]
        is_empty_early = not listed.rows and bool(given)
        if (outside or is_empty_early or _is_disordered(times)) and not is_sure:
            is_sure = True  # ask once more: an answer out of a cache, or a 204 by mistake, is no rule
            continue
        if outside or _is_disordered(times):
            raise FiltersIgnoredError
        is_sure = False
        known = [time for time in times if time is not None]
        last = max(known, default=window.start)
        is_stuck = listed.has_more and last <= window.start
        read.rows = _not_given(given, read.rows, last)
        if not is_stuck:
            window.start = max(window.start, last)
            yield read
        else:
            second = Window(first, window.start + 2)
            async for part in walk(listing, Place(), _between(second.start, second.end)):
                part.rows = _not_given(given, [*part.rows], window.start + 2)
                yield Read(read.rows + part.rows, part.problems)
                read.rows = []
            window.start += 2
        if not listed.has_more:
            return


def _not_given(given: dict[str, int], rows: list[Row], last: int) -> list[Row]:
    """The rows whose version has not been handed over; those that cannot come again are forgotten."""
    new = []
    for row in rows:
        name, time = row_id(row), row_time(row)
        if name is not None and time is not None:
            if given.get(name) == time:
                continue
            given[name] = time
        new.append(row)
    for name in [name for name, time in given.items() if time < last - 3]:
        del given[name]
    return new


def _between(start: int, end: int) -> Params:
    return [("filter[updated_at][from]", start), ("filter[updated_at][to]", end)]


def _is_disordered(times: list[int | None]) -> bool:
    known = [time for time in times if time is not None]
    return known != sorted(known)


def _key(row: Row) -> Key:
    return row_id(row) or "", row_time(row) or row_time(row, "created_at") or 0


def _is_new(given: dict[Key, None], row: Row) -> bool:
    key = _key(row)
    if key in given:
        return False
    given[key] = None
    if len(given) > _REMEMBERED:  # overlaps are short, and the list may be long
        del given[next(iter(given))]
    return True


def _checked(listing: Listing, listed: Listed, begin: int) -> Read:
    read = Read([], [])
    for number, row in enumerate(listed.rows, start=begin + 1):
        if type(row) is dict and row_id(row) is not None:
            read.rows.append(row)
        else:
            what = "it has no id" if type(row) is dict else "it is not an object"
            read.problems.append(f"{listing.path}: row {number} of the list cannot be read: {what}")
    return read
