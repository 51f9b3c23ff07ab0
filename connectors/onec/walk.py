"""Reads a long list of documents from old to new, in pages that survive what happens to the list meanwhile.

1C pages by `$skip`, which passes rows by when earlier ones go away. So each page starts at the date of the last row
seen, and rows are skipped only among those of one date; the last row seen has to come again as the first one, or that
date is read anew. What comes twice is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from connectors.errors import ConfigError, RetryError
from connectors.onec.odata import Documents

_MOST_REPEATS = 5
"""Answers in a row that are not to the question: of a cache, or of a base that ignores filters."""
_MOST_RESTARTS = 50


@dataclass(frozen=True, slots=True)
class Position:
    at: str | None = None
    """Date of the last row seen, as the base writes it: enough to go on from later."""
    skip: int = 0
    """Rows of that date to skip, as long as it is the same walk."""


@dataclass(frozen=True, slots=True)
class Step:
    rows: Sequence[dict[str, Any]]
    """New ones."""
    position: Position
    is_last: bool


async def walk(
    documents: Documents,
    *,
    lower: str | None,
    upper: str | None = None,
    conditions: Sequence[str] = (),
    start: str | None = None,
    size: int,
    select: str | None = None,
) -> AsyncIterator[Step]:
    """Documents of dates from `lower` on (from `start` on, a date that a walk had come to) and before `upper`, under
    further `conditions`. Raises ConnectorError."""
    date, key = documents.settings.date, documents.settings.id
    size = max(2, size)
    position, seen = Position(start), set[object]()
    anchor: object = None
    repeats = restarts = 0
    while True:
        bound = position.at or lower
        asked = list(conditions)
        asked += [] if bound is None else [f"{date} ge datetime'{bound}'"]
        asked += [] if upper is None else [f"{date} lt datetime'{upper}'"]
        rows = await documents.rows(asked, skip=position.skip, top=size, select=select)
        dates = [_date_of(row, date) for row in rows]
        if not _is_answer(dates, bound, upper):
            repeats += 1
            if repeats >= _MOST_REPEATS:
                raise ConfigError(
                    f"the base answers with documents of other dates, or in another order, than asked for; check "
                    f"options.fields.date ({date})"
                )
            continue
        repeats = 0
        if anchor is not None and (not rows or rows[0].get(key) != anchor):
            restarts += 1
            if restarts > _MOST_RESTARTS:
                raise RetryError("the documents of one date change faster than they can be read")
            position, anchor = Position(position.at), None
            continue
        fresh = [row for row in rows if row.get(key) not in seen]
        is_last = len(rows) < size
        if rows:
            last = dates[-1]
            if last != position.at:
                seen = {row.get(key) for row, found in zip(rows, dates, strict=True) if found == last}
                position, anchor = Position(last), None
            else:
                seen |= {row.get(key) for row in rows}
                if not is_last:
                    position, anchor = Position(last, position.skip + len(rows) - 1), rows[-1].get(key)
        yield Step(fresh, position, is_last)
        if is_last:
            return


def _is_answer(dates: Sequence[str], lower: str | None, upper: str | None) -> bool:
    if any(later < earlier for earlier, later in pairwise(dates)):
        return False
    return not dates or ((lower is None or dates[0] >= lower) and (upper is None or dates[-1] < upper))


def _date_of(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if type(value) is not str:
        raise ConfigError(f"the documents have no date in {name}; check options.fields.date")
    return value
