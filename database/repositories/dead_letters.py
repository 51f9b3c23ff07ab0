"""sync.dead_letters: what could not be applied, why, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from database.connection import Connection
from database.repositories.words import ErrorWord

_REASONS_LENGTH = 2000
RETRY_SECONDS = (120.0, 240.0, 480.0)
"""Waits before a raw row that could not be applied is tried again by itself."""


@dataclass(frozen=True, slots=True)
class Letter:
    source: str
    """webhook, api, request, vms (an object of core on its way there), or an outbound action"""
    error_word: ErrorWord
    reason: str
    raw_id: int | None = None
    stream: str | None = None
    crm_id: str | None = None
    payload: str | None = None
    request: str | None = None
    """Outbound: what was sent, without secrets."""
    answer: str | None = None
    """Outbound: what was said to it."""
    frames: Sequence[str] = ()
    """Where the connector failed, if it did; for the log, not stored here."""


@dataclass(frozen=True, slots=True)
class FailedLetter:
    """One that only a person can help."""

    dead_letter_id: int
    source: str
    stream: str | None
    crm_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class OpenLetter:
    dead_letter_id: int
    project_id: str
    source: str
    raw_id: int | None
    stream: str | None
    crm_id: str | None


async def open_many(
    connection: Connection, project_id: str, letters: Sequence[Letter], *, also_discarded: bool = True
) -> list[FailedLetter]:
    """Open inbound letters; one that is open for the same thing gets the newer reason and another attempt.

    A raw row, or an object on its way into vms, is tried again after `RETRY_SECONDS`, and has permanently failed when
    the last retry fails too; anything else (a request, retried before; a row of a page that is no record) has so at
    once. `also_discarded` false: what
    a person has discarded stays closed. Returns those that have permanently failed.
    """
    if not letters:
        return []
    cursor = await connection.execute(
        """
        insert into sync.dead_letters as stored (
            project_id, source, raw_id, stream, crm_id, error_word, reason, payload, state, next_retry_at
        )
        select %(project)s, source, raw_id, stream, crm_id, error_word, reason, payload,
            case when can_wait then 'open' else 'permanently_failed' end,
            case when can_wait then clock_timestamp() + %(waits)s[1] * interval '1 second' end
        from json_to_recordset(%(letters)s::json) as l (
            source text, raw_id bigint, stream text, crm_id text, error_word text, reason text, payload text
        ), lateral (select raw_id is not null or source = 'vms') as w (can_wait)
        where %(also_discarded)s or not exists (
            select from sync.dead_letters as d
            where d.project_id = %(project)s and d.state = 'discarded' and d.direction = 'inbound'
                and d.source = l.source and d.raw_id is not distinct from l.raw_id
                and d.stream is not distinct from l.stream and d.crm_id is not distinct from l.crm_id
        )
        on conflict (project_id, direction, source, coalesce(raw_id, 0), coalesce(stream, ''), coalesce(crm_id, ''))
            where state in ('open', 'permanently_failed')
        do update set error_word = excluded.error_word, reason = excluded.reason, payload = excluded.payload,
            attempts = stored.attempts + 1, last_failed_at = clock_timestamp(),
            state = case when stored.retries >= cardinality(%(waits)s) then 'permanently_failed' else stored.state end,
            next_retry_at = case
                when stored.state = 'permanently_failed' then null
                else clock_timestamp() + %(waits)s[stored.retries + 1] * interval '1 second'
            end
        returning dead_letter_id, source, stream, crm_id, reason, stored.state = 'permanently_failed' as has_failed
        """,
        {
            "project": project_id,
            "letters": msgspec.json.encode(_joined(letters)).decode(),
            "also_discarded": also_discarded,
            "waits": list(RETRY_SECONDS),
        },
    )
    return [
        FailedLetter(row["dead_letter_id"], row["source"], row["stream"], row["crm_id"], row["reason"])
        for row in await cursor.fetchall()
        if row["has_failed"]
    ]


async def resolve_applied(
    connection: Connection, project_id: str, applied: Sequence[tuple[str, int, str | None, str | None]]
) -> int:
    """Close the letters of raw rows (source, raw_id, stream, crm_id) that are applied now, and those of older records
    and re-reads of the same objects, which they replace. Returns how many were closed."""
    cursor = await connection.execute(
        """
        select exists (
            select from sync.dead_letters where project_id = %s and state in ('open', 'permanently_failed')
                and direction = 'inbound'
        ) as flag
        """,
        [project_id],
    )
    row = await cursor.fetchone()
    if row is None or not row["flag"] or not applied:
        return 0
    cursor = await connection.execute(
        """
        update sync.dead_letters as d
        set state = 'resolved', closed_at = clock_timestamp(),
            closed_by = case when d.raw_id = a.raw_id and d.source = a.source then 'applied' else 'superseded' end
        from unnest(%(sources)s::text[], %(ids)s::bigint[], %(streams)s::text[], %(crm_ids)s::text[])
            as a (source, raw_id, stream, crm_id)
        where d.project_id = %(project)s and d.state in ('open', 'permanently_failed') and d.direction = 'inbound'
            and (
                (d.source = a.source and d.raw_id = a.raw_id)
                or (d.stream = a.stream and d.crm_id = a.crm_id and a.source = 'api'
                    and (d.source = 'request' or (d.source = 'api' and d.raw_id < a.raw_id)))
            )
        """,
        {
            "project": project_id,
            "sources": [item[0] for item in applied],
            "ids": [item[1] for item in applied],
            "streams": [item[2] for item in applied],
            "crm_ids": [item[3] for item in applied],
        },
    )
    return cursor.rowcount


async def open_outbound(connection: Connection, project_id: str, letter: Letter) -> None:
    """Open a letter for something that could not be sent; one that is open for it gets the newer reason."""
    await connection.execute(
        """
        insert into sync.dead_letters as stored (
            project_id, direction, source, raw_id, stream, crm_id, error_word, reason, payload, request, answer, state
        )
        values (%s, 'outbound', %s, %s, %s, %s, %s, %s, %s, %s, %s, 'permanently_failed')
        on conflict (project_id, direction, source, coalesce(raw_id, 0), coalesce(stream, ''), coalesce(crm_id, ''))
            where state in ('open', 'permanently_failed')
        do update set error_word = excluded.error_word, reason = excluded.reason, payload = excluded.payload,
            request = excluded.request, answer = excluded.answer, attempts = stored.attempts + 1,
            last_failed_at = clock_timestamp()
        """,
        [
            project_id, letter.source, letter.raw_id, letter.stream, letter.crm_id, letter.error_word, letter.reason,
            letter.payload, letter.request, letter.answer,
        ],
    )  # fmt: skip


async def resolve_delivery(connection: Connection, project_id: str, delivery_id: int) -> None:
    """Close the letter of a delivery that was taken at last."""
    await connection.execute(
        """
        update sync.dead_letters
        set state = 'resolved', closed_at = clock_timestamp(), closed_by = 'sent'
        where project_id = %s and direction = 'outbound' and source = 'subscription' and raw_id = %s
            and state in ('open', 'permanently_failed')
        """,
        [project_id, delivery_id],
    )


async def resolve_outbox(connection: Connection, project_id: str, entity: str, vms_id: int) -> None:
    """Close the letter of an object of vms that the CRM has taken at last."""
    await connection.execute(
        """
        update sync.dead_letters
        set state = 'resolved', closed_at = clock_timestamp(), closed_by = 'sent'
        where project_id = %s and direction = 'outbound' and source = 'outbox' and stream = %s and raw_id = %s
            and state in ('open', 'permanently_failed')
        """,
        [project_id, entity, vms_id],
    )


async def claim_due(connection: Connection, limit: int = 1000) -> list[OpenLetter]:
    """Letters whose time to be tried again has come, taken in the caller's transaction: they must be queued in it."""
    cursor = await connection.execute(
        """
        update sync.dead_letters as d
        set retries = d.retries + 1, next_retry_at = null
        from (
            select project_id, dead_letter_id
            from sync.dead_letters
            where next_retry_at <= clock_timestamp() and state = 'open' and direction = 'inbound'
            order by next_retry_at
            limit %s
            for update skip locked
        ) as due
        where d.project_id = due.project_id and d.dead_letter_id = due.dead_letter_id
        returning d.dead_letter_id, d.project_id, d.source, d.raw_id, d.stream, d.crm_id
        """,
        [limit],
    )
    return [OpenLetter(**row) for row in await cursor.fetchall()]


async def resolve_requests(connection: Connection, project_id: str, stream: str, crm_ids: Sequence[str | None]) -> None:
    """Close the letters of requests for objects of a stream that have succeeded at last."""
    await connection.execute(
        """
        update sync.dead_letters
        set state = 'resolved', closed_at = clock_timestamp(), closed_by = 'applied'
        where project_id = %s and state in ('open', 'permanently_failed')
            and direction = 'inbound' and source = 'request' and stream = %s and crm_id = any(%s)
        """,
        [project_id, stream, list(crm_ids)],
    )


async def resolve_request(connection: Connection, project_id: str, stream: str | None, crm_id: str | None) -> None:
    """Close the letter of a request that has succeeded at last."""
    await connection.execute(
        """
        update sync.dead_letters
        set state = 'resolved', closed_at = clock_timestamp(), closed_by = 'applied'
        where project_id = %s and state in ('open', 'permanently_failed')
            and direction = 'inbound' and source = 'request'
            and stream is not distinct from %s and crm_id is not distinct from %s
        """,
        [project_id, stream, crm_id],
    )


async def resolve_inbound(
    connection: Connection, project_id: str, source: str, applied: Sequence[tuple[str, str]]
) -> None:
    """Close the letters of this source for objects (stream, crm_id) that are applied now."""
    if applied:
        await connection.execute(
            """
            update sync.dead_letters as d
            set state = 'resolved', closed_at = clock_timestamp(), closed_by = 'applied'
            from unnest(%s::text[], %s::text[]) as a (stream, crm_id)
            where d.project_id = %s and d.state in ('open', 'permanently_failed') and d.direction = 'inbound'
                and d.source = %s and d.stream = a.stream and d.crm_id = a.crm_id
            """,
            [[stream for stream, _ in applied], [crm_id for _, crm_id in applied], project_id, source],
        )


async def refused_for(
    connection: Connection, project_id: str, source: str, stream: str, phrases: Sequence[str]
) -> list[str]:
    """The objects (CRM ids) of open inbound letters whose reason has one of these phrases."""
    cursor = await connection.execute(
        """
        select d.crm_id from sync.dead_letters as d
        where d.project_id = %s and d.state in ('open', 'permanently_failed') and d.direction = 'inbound'
            and d.source = %s and d.stream = %s and d.crm_id is not null
            and exists (select from unnest(%s::text[]) as p (phrase) where position(p.phrase in d.reason) > 0)
        order by d.crm_id
        """,
        [project_id, source, stream, list(phrases)],
    )
    return [row["crm_id"] for row in await cursor.fetchall()]


async def list_letters(
    connection: Connection, *, project_id: str | None = None, state: str | None = "open", limit: int = 100
) -> list[dict[str, Any]]:
    """The newest letters as rows; `state` None is all, and open are those that have permanently failed, too."""
    cursor = await connection.execute(
        """
        select dead_letter_id, project_id, direction, source, raw_id, stream, crm_id, error_word, reason, payload,
            request, answer, state, attempts, next_retry_at, first_failed_at, last_failed_at, closed_at, closed_by
        from sync.dead_letters
        where (%(project)s::text is null or project_id = %(project)s)
            and (%(state)s::text is null or state = %(state)s
                or (%(state)s = 'open' and state = 'permanently_failed'))
        order by last_failed_at desc, dead_letter_id desc
        limit %(limit)s
        """,
        {"project": project_id, "state": state, "limit": limit},
    )
    return await cursor.fetchall()


async def get(connection: Connection, dead_letter_id: int) -> dict[str, Any] | None:
    """One letter with all there is of it, whatever its state."""
    cursor = await connection.execute(
        """
        select dead_letter_id, project_id, direction, source, raw_id, stream, crm_id, error_word, reason, payload,
            request, answer, state, attempts, next_retry_at, first_failed_at, last_failed_at, closed_at, closed_by
        from sync.dead_letters where dead_letter_id = %s
        """,
        [dead_letter_id],
    )
    return await cursor.fetchone()


async def select_open(connection: Connection, *, ids: Sequence[int] | None, project_id: str | None) -> list[OpenLetter]:
    """Open letters that can be tried again, by id or all of them."""
    cursor = await connection.execute(
        """
        select dead_letter_id, project_id, source, raw_id, stream, crm_id
        from sync.dead_letters
        where state in ('open', 'permanently_failed')
            and (%(ids)s::bigint[] is null or dead_letter_id = any(%(ids)s))
            and (%(project)s::text is null or project_id = %(project)s)
        order by dead_letter_id
        """,
        {"ids": None if ids is None else list(ids), "project": project_id},
    )
    return [OpenLetter(**row) for row in await cursor.fetchall()]


async def count_open(connection: Connection, ids: Sequence[int]) -> int:
    """How many of these are open still."""
    cursor = await connection.execute(
        """
        select count(*) as count from sync.dead_letters
        where dead_letter_id = any(%s) and state in ('open', 'permanently_failed')
        """,
        [list(ids)],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["count"])


async def count_open_of_runs(connection: Connection, project_id: str, run_ids: Sequence[int]) -> int:
    """How many records that these runs landed have not, or not whole, been applied."""
    cursor = await connection.execute(
        """
        select count(distinct record_id) as count
        from sync.dead_letters as d
        join raw.api_records as a on a.project_id = d.project_id and a.record_id = d.raw_id
        where d.project_id = %s and d.state in ('open', 'permanently_failed')
            and d.direction = 'inbound' and d.source = 'api' and a.run_id = any(%s)
        """,
        [project_id, list(run_ids)],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["count"])


async def count_open_by_object(
    connection: Connection, project_id: str, run_id: int, streams: Sequence[str], crm_ids: Sequence[str]
) -> dict[str, int]:
    """Of these objects as this run landed them: those of which something could not be applied."""
    cursor = await connection.execute(
        """
        select a.crm_id, count(distinct a.record_id) as count
        from raw.api_records as a
        join sync.dead_letters as d on d.project_id = a.project_id and d.raw_id = a.record_id
        where a.project_id = %s and a.stream = any(%s) and a.crm_id = any(%s) and a.run_id = %s
            and d.state in ('open', 'permanently_failed') and d.direction = 'inbound' and d.source = 'api'
        group by a.crm_id
        """,
        [project_id, list(streams), list(crm_ids), run_id],
    )
    return {row["crm_id"]: row["count"] for row in await cursor.fetchall()}


async def discard(connection: Connection, *, ids: Sequence[int] | None, project_id: str | None, by: str) -> int:
    """Close open letters without applying them. Returns how many."""
    cursor = await connection.execute(
        """
        update sync.dead_letters
        set state = 'discarded', closed_at = clock_timestamp(), closed_by = %(by)s
        where state in ('open', 'permanently_failed')
            and (%(ids)s::bigint[] is null or dead_letter_id = any(%(ids)s))
            and (%(project)s::text is null or project_id = %(project)s)
        """,
        {"ids": None if ids is None else list(ids), "project": project_id, "by": by},
    )
    return cursor.rowcount


def _joined(letters: Sequence[Letter]) -> list[Letter]:
    """One letter for each thing that failed, with all reasons."""
    first: dict[tuple[str, int | None, str | None, str | None], Letter] = {}
    reasons: dict[tuple[str, int | None, str | None, str | None], dict[str, None]] = {}
    for letter in letters:
        key = (letter.source, letter.raw_id, letter.stream, letter.crm_id)
        first.setdefault(key, letter)
        reasons.setdefault(key, {})[letter.reason] = None
    return [
        letter if len(reasons[key]) == 1 else replace(letter, reason="; ".join(reasons[key])[:_REASONS_LENGTH])
        for key, letter in first.items()
    ]
