"""sync.dead_letters as people page through them, and all of a filter at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from database.connection import Connection
from database.repositories.dead_letters import OpenLetter

State = Literal["open", "permanently_failed", "resolved", "discarded"]
STATES: tuple[State, ...] = ("open", "permanently_failed", "resolved", "discarded")
MOST_AT_ONCE = 10_000
"""Of letters that are chosen by a filter."""


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters; None: whichever."""

    project_ids: tuple[str, ...]
    state: State | None = "open"
    """open: those that have permanently failed, too."""
    direction: str | None = None
    source: str | None = None
    error_word: str | None = None

    def parameters(self) -> dict[str, object]:
        states: Sequence[str] | None = None
        if self.state is not None:
            states = ["open", "permanently_failed"] if self.state == "open" else [self.state]
        return {
            "projects": list(self.project_ids), "states": states, "direction": self.direction, "source": self.source,
            "word": self.error_word,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class LetterLine:
    """Without what was sent and answered."""

    dead_letter_id: int
    project_id: str
    direction: str
    source: str
    raw_id: int | None
    stream: str | None
    crm_id: str | None
    error_word: str
    reason: str
    state: str
    attempts: int
    next_retry_at: datetime | None
    first_failed_at: datetime
    last_failed_at: datetime
    closed_at: datetime | None
    closed_by: str | None


_WHERE = """
    project_id = any(%(projects)s)
    and (%(states)s::text[] is null or state = any(%(states)s))
    and (%(direction)s::text is null or direction = %(direction)s)
    and (%(source)s::text is null or source = %(source)s)
    and (%(word)s::text is null or error_word = %(word)s)
"""
_OPEN = "and state in ('open', 'permanently_failed')"


async def page(
    connection: Connection,
    wanted: LetterFilter,
    *,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int = 50,
) -> list[LetterLine]:
    """The next letters before `before_id`, or those just after `after_id`; the newest first in either case."""
    ascending = after_id is not None
    cursor = await connection.execute(
        f"""
        select dead_letter_id, project_id, direction, source, raw_id, stream, crm_id, error_word, reason, state,
            attempts, next_retry_at, first_failed_at, last_failed_at, closed_at, closed_by
        from sync.dead_letters
        where {_WHERE}
            and (%(before)s::bigint is null or dead_letter_id < %(before)s)
            and (%(after)s::bigint is null or dead_letter_id > %(after)s)
        order by dead_letter_id {"asc" if ascending else "desc"}
        limit %(limit)s
        """,  # noqa: S608
        {**wanted.parameters(), "before": before_id, "after": after_id, "limit": limit},
    )
    rows = [LetterLine(**row) for row in await cursor.fetchall()]
    return rows[::-1] if ascending else rows


async def count_open(connection: Connection, wanted: LetterFilter) -> tuple[int, int]:
    """How many open letters the filter has, and the last one's id (0 if there is none): what comes later was not
    counted."""
    cursor = await connection.execute(
        f"""
        select count(*) as count, coalesce(max(dead_letter_id), 0) as last_id from sync.dead_letters
        where {_WHERE} {_OPEN}
        """,  # noqa: S608
        wanted.parameters(),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["count"], row["last_id"]


async def take_open(
    connection: Connection, wanted: LetterFilter, *, up_to: int, ids: Sequence[int] | None = None
) -> list[OpenLetter]:
    """The open letters of the filter up to this id, or of these those, the oldest first; at most MOST_AT_ONCE. Locked
    until the caller's transaction ends."""
    cursor = await connection.execute(
        f"""
        select dead_letter_id, project_id, source, raw_id, stream, crm_id from sync.dead_letters
        where {_WHERE} {_OPEN} and dead_letter_id <= %(up_to)s
            and (%(ids)s::bigint[] is null or dead_letter_id = any(%(ids)s))
        order by dead_letter_id
        limit {MOST_AT_ONCE}
        for update
        """,  # noqa: S608
        {**wanted.parameters(), "up_to": up_to, "ids": None if ids is None else list(ids)},
    )
    return [OpenLetter(**row) for row in await cursor.fetchall()]


async def sources(connection: Connection, project_ids: Sequence[str]) -> list[str]:
    """The sources that open letters of these projects have."""
    cursor = await connection.execute(
        f"select distinct source from sync.dead_letters where project_id = any(%s) {_OPEN} order by source",  # noqa: S608
        [list(project_ids)],
    )
    return [row["source"] for row in await cursor.fetchall()]
