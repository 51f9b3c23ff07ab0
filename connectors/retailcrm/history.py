"""Histories of changes, read by `sinceId`: ascending ids, never with `page` (which is a 400 since May 2023).

A cursor holds the last id that is surely complete. Ids are given when a change is made and become visible when it is
committed, so a lower id may show up after a higher one: entries of the last minutes are read again by the next pull.
Clocks do not enter: each answer says when it was made, in the zone of its entries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.errors import RetryError
from connectors.http import HttpSession
from connectors.protocol import OVERLAP, Account, Cursor
from connectors.retailcrm.api import Row, get, given_limit, total_of

_SAME_PAGES = 5
"""So many times nothing new, and `sinceId` is not understood."""


@dataclass(slots=True)
class HistoryPage:
    entries: list[tuple[Row, bool]] = field(default_factory=list)
    """Each with whether it was there when the walk began: what is read after that has the change."""
    problems: list[str] = field(default_factory=list)
    settled_id: int = 0
    """Last id before which nothing can turn up any more."""
    total: int | None = None
    """Entries in the whole walk, where the API tells."""


async def walk(
    http: HttpSession, account: Account, path: str, *, since_id: int, start_date: str | None, limit: int
) -> AsyncIterator[HistoryPage]:
    """Pages of a history after `since_id` or, if that is 0, from `start_date` (wall time of the account) on."""
    last_id = settled_id = since_id
    total: int | None = None
    walked = idle = 0
    is_settling = True
    while True:
        params: list[tuple[str, object]] = [("limit", limit)]
        if last_id > 0:
            params.append(("filter[sinceId]", last_id))
        elif start_date is not None:
            params.append(("filter[startDate]", start_date))
        answer = await get(http, account, path, params)
        rows = answer.get("history")
        if type(rows) is not list:
            raise RetryError(f"{path}: the answer has no history")
        if total is None:
            total = total_of(answer)
        page = HistoryPage(total=total)
        cutoff = _moment(answer.get("generatedAt"))
        moved = False
        for row in rows:
            entry_id = row.get("id") if type(row) is dict else None
            if type(entry_id) is not int:
                page.problems.append(f"{path}: an entry after {last_id} of the history has no id")
                walked += 1
                continue
            if entry_id <= last_id:
                continue  # a page that came twice
            page.entries.append((row, total is not None and walked < total))
            last_id, moved, walked = entry_id, True, walked + 1
            at = _moment(row.get("createdAt"))
            is_settling = is_settling and (cutoff is None or at is None or at < cutoff - OVERLAP)
            settled_id = last_id if is_settling else settled_id
        page.settled_id = settled_id
        is_last = len(rows) < given_limit(answer, limit)
        idle = 0 if moved or is_last else idle + 1
        if idle >= _SAME_PAGES:
            raise RetryError(f"{path}: the history repeats its entries up to {last_id} and does not end")
        if moved or is_last:
            yield page
        if is_last:
            return


def read_cursor(cursor: Cursor | None, scope: str) -> int:
    """The id to go on after, 0 for the start. A cursor that is none of ours, or of other filters, is worth nothing."""
    if cursor is None or cursor.get("scope") != scope:
        return 0
    since_id = cursor.get("since_id")
    return since_id if type(since_id) is int and since_id > 0 else 0


def write_cursor(settled_id: int, scope: str) -> Cursor:
    return {"since_id": settled_id, "scope": scope}


def _moment(value: Any) -> datetime | None:
    """Wall time, for comparing with others of the same account."""
    try:
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S") if type(value) is str else None  # noqa: DTZ007
    except ValueError:
        return None
