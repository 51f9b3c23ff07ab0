"""sync.requests: manual syncs and re-reads that wait, run and end.

A running request's worker holds its lock in a session of its own; one that says `running` with the lock free belongs to
a dead worker and is queued again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from database.connection import Connection
from database.repositories import locks
from database.repositories.words import ErrorWord

_KEY = "project_id, coalesce(stream, ''), coalesce(crm_id, ''), is_full, coalesce(since, '-infinity')"
_COLUMNS = "request_id, project_id, stream, crm_id, since, is_full, origin, attempts"

_BEING_READ = """exists (
                    select from sync.requests as running
                    where running.state = 'running' and running.project_id = r.project_id
                        and running.stream = r.stream and running.crm_id = r.crm_id
                )"""


@dataclass(frozen=True, slots=True)
class Request:
    request_id: int
    project_id: str
    stream: str | None
    """None: every stream of the project."""
    crm_id: str | None
    """One object."""
    since: datetime | None
    is_full: bool
    origin: str
    """manual, webhook, or pull"""
    attempts: int
    """This one included."""


@dataclass(frozen=True, slots=True)
class Backlog:
    count: int
    oldest_seconds: float


def lock_name(request_id: int) -> str:
    return f"request.{request_id}"


async def enqueue(
    connection: Connection,
    project_id: str,
    *,
    stream: str | None = None,
    crm_id: str | None = None,
    since: datetime | None = None,
    is_full: bool = False,
    origin: str = "manual",
    requested_by: str | None = None,
) -> int:
    """Queue a request, due now; the id of the one that waits already if there is one for the same."""
    cursor = await connection.execute(
        f"""
        insert into sync.requests as stored (project_id, stream, crm_id, since, is_full, origin, requested_by)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict ({_KEY}) where state = 'queued'
        do update set not_before = excluded.not_before
        returning request_id
        """,  # noqa: S608
        [project_id, stream, crm_id, since, is_full, origin, requested_by],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["request_id"])


async def enqueue_rereads(connection: Connection, project_id: str, objects: Collection[tuple[str, str]]) -> None:
    """Queue a re-read of each (stream, id), unless one waits already."""
    if not objects:
        return
    await connection.execute(
        f"""
        insert into sync.requests (project_id, stream, crm_id, origin)
        select %(project)s, stream, crm_id, 'webhook'
        from unnest(%(streams)s::text[], %(ids)s::text[]) as o (stream, crm_id)
        on conflict ({_KEY}) where state = 'queued' do nothing
        """,  # noqa: S608
        {
            "project": project_id,
            "streams": [stream for stream, _ in objects],
            "ids": [crm_id for _, crm_id in objects],
        },
    )


async def being_read(
    connection: Connection, project_id: str, objects: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Those of the objects, by (stream, id), that somebody is reading: what comes may be from before this moment."""
    cursor = await connection.execute(
        """
        select distinct r.stream, r.crm_id
        from unnest(%(streams)s::text[], %(ids)s::text[]) as o (stream, crm_id)
        join sync.requests as r
            on r.project_id = %(project)s and r.stream = o.stream and r.crm_id = o.crm_id and r.state = 'running'
        """,
        {
            "project": project_id,
            "streams": [stream for stream, _ in objects],
            "ids": [crm_id for _, crm_id in objects],
        },
    )
    return {(row["stream"], row["crm_id"]) for row in await cursor.fetchall()}


async def enqueue_orders_without_items(connection: Connection, project_id: str, stream: str, limit: int) -> int:
    """Queue a re-read of orders that were never read whole, unless one waits or has failed for good."""
    cursor = await connection.execute(
        f"""
        insert into sync.requests (project_id, stream, crm_id, origin)
        select project_id, %(stream)s, order_id, 'pull'
        from core.orders as o
        where project_id = %(project)s and not has_items and not is_deleted
            and not exists (
                select from sync.dead_letters as d
                where d.project_id = o.project_id and d.state in ('open', 'permanently_failed') and d.source = 'request'
                    and d.stream = %(stream)s and d.crm_id = o.order_id
            )
            and not exists (
                select from sync.requests as r
                where r.project_id = o.project_id and r.stream = %(stream)s and r.crm_id = o.order_id
                    and r.state = 'running'
            )
        limit %(limit)s
        on conflict ({_KEY}) where state = 'queued' do nothing
        """,  # noqa: S608
        {"project": project_id, "stream": stream, "limit": limit},
    )
    return cursor.rowcount


async def claim(
    connection: Connection,
    *,
    single_only: bool = False,
    older_than: float | None = None,
    request_id: int | None = None,
    exclude_projects: Collection[str] = (),
) -> Request | None:
    """Take the oldest request that is due and hold its lock on this connection until `release`; None if there is none.

    `single_only`: for one object only. `older_than`: due for at least so many seconds. `request_id`: this one alone.
    Requests of disabled projects wait, except those that a person made, which should be told. One for an object that is
    being read waits too: the answer of the later one must not be overtaken by that of the earlier one.
    """
    async with connection.transaction():
        cursor = await connection.execute(
            f"""
            select {_COLUMNS}
            from sync.requests as r
            join config.projects as p using (project_id)
            where r.state = 'queued' and r.not_before <= clock_timestamp()
                and (p.is_enabled or r.origin = 'manual')
                and (not %(single)s or r.crm_id is not null)
                and (%(id)s::bigint is null or r.request_id = %(id)s)
                and (
                    %(age)s::float8 is null
                    or greatest(r.not_before, r.requested_at) <= clock_timestamp() - %(age)s * interval '1 second'
                )
                and r.project_id <> all(%(excluded)s)
                and not {_BEING_READ}
            order by greatest(r.not_before, r.requested_at), r.request_id
            limit 1
            for update of r skip locked
            """,  # noqa: S608
            {"single": single_only, "id": request_id, "age": older_than, "excluded": list(exclude_projects)},
        )
        row = await cursor.fetchone()
        if row is None or not await locks.try_session(connection, lock_name(row["request_id"])):
            return None
        await connection.execute(
            """
            update sync.requests
            set state = 'running', started_at = clock_timestamp(), finished_at = null, attempts = attempts + 1
            where project_id = %s and request_id = %s
            """,
            [row["project_id"], row["request_id"]],
        )
    return Request(**{**row, "attempts": row["attempts"] + 1})


async def claim_more(connection: Connection, first: Request, limit: int) -> list[Request]:
    """Take more requests like a claimed one, for objects of the same stream of its project, with their locks.

    Those that a person made are left out: each is told its own result.
    """
    cursor = await connection.execute(
        f"""
        with due as materialized (
            select project_id, request_id from sync.requests as r
            where state = 'queued' and not_before <= clock_timestamp() and project_id = %(project)s
                and stream = %(stream)s and crm_id is not null and origin <> 'manual'
                and not {_BEING_READ}
            order by greatest(not_before, requested_at), request_id
            limit %(limit)s
            for update skip locked
        ),
        locked as materialized (
            select *, pg_try_advisory_lock(hashtextextended(%(prefix)s || request_id, 0)) as is_locked from due
        )
        update sync.requests as r
        set state = 'running', started_at = clock_timestamp(), finished_at = null, attempts = attempts + 1
        from locked
        where locked.is_locked and r.project_id = locked.project_id and r.request_id = locked.request_id
        returning {", ".join(f"r.{name.strip()}" for name in _COLUMNS.split(","))}
        """,  # noqa: S608
        {
            "project": first.project_id,
            "stream": first.stream,
            "limit": limit,
            "prefix": locks.PREFIX + lock_name(0)[:-1],
        },
    )
    return [Request(**row) for row in await cursor.fetchall()]


async def release(connection: Connection, request: Request) -> None:
    """Give back the lock of a claimed request, after its new state is stored."""
    await locks.release(connection, lock_name(request.request_id))


async def release_many(connection: Connection, requests: Sequence[Request]) -> None:
    await connection.execute(
        "select pg_advisory_unlock(hashtextextended(%s || id, 0)) from unnest(%s::bigint[]) as i (id)",
        [locks.PREFIX + lock_name(0)[:-1], [request.request_id for request in requests]],
    )


async def finish(
    connection: Connection,
    request: Request,
    state: str,
    *,
    result: Mapping[str, Any] | None = None,
    error_word: ErrorWord | None = None,
    error_message: str | None = None,
) -> None:
    """End a request as done, failed or cancelled."""
    await connection.execute(
        """
        update sync.requests
        set state = %s, finished_at = clock_timestamp(), error_word = %s, error_message = %s, result = %s
        where project_id = %s and request_id = %s
        """,
        [
            state,
            error_word,
            error_message,
            None if result is None else Jsonb(dict(result)),
            request.project_id,
            request.request_id,
        ],
    )


async def finish_done(connection: Connection, done: Sequence[tuple[Request, dict[str, Any]]]) -> None:
    """End requests of one project as done, each with its result."""
    if not done:
        return
    await connection.execute(
        """
        update sync.requests as r
        set state = 'done', finished_at = clock_timestamp(), error_word = null, error_message = null,
            result = d.result
        from jsonb_to_recordset(%s) as d (request_id bigint, result jsonb)
        where r.project_id = %s and r.request_id = d.request_id
        """,
        [
            Jsonb([{"request_id": request.request_id, "result": dict(result)} for request, result in done]),
            done[0][0].project_id,
        ],
    )


async def postpone(
    connection: Connection,
    request: Request,
    seconds: float,
    *,
    error_word: ErrorWord | None = None,
    error_message: str | None = None,
    counts: bool = True,
) -> bool:
    """Queue a claimed request again, due in so many seconds; `counts` false takes its attempt back.

    False if another request for the same waits already: then this one is cancelled.
    """
    try:
        async with connection.transaction():
            await connection.execute(
                """
                update sync.requests
                set state = 'queued', not_before = clock_timestamp() + %(seconds)s::float8 * interval '1 second',
                    error_word = %(word)s, error_message = %(message)s, attempts = attempts - %(back)s
                where project_id = %(project)s and request_id = %(id)s
                """,
                {
                    "seconds": seconds,
                    "word": error_word,
                    "message": error_message,
                    "back": 0 if counts else 1,
                    "project": request.project_id,
                    "id": request.request_id,
                },
            )
    except psycopg.errors.UniqueViolation:
        await finish(
            connection, request, "cancelled", error_word=error_word, error_message="A newer request for the same waits."
        )
        return False
    return True


async def requeue_dead(connection: Connection) -> int:
    """Queue requests again whose worker died. Returns how many."""
    cursor = await connection.execute(
        f"""
        with running as materialized (
            select request_id from sync.requests where state = 'running'
        ),
        dead as materialized (
            select request_id from running
            where pg_try_advisory_xact_lock(hashtextextended(%(prefix)s || request_id, 0))
        ),
        ranked as (
            select request_id, row_number() over (partition by {_KEY} order by request_id desc) as place
            from sync.requests where request_id in (select request_id from dead) and state = 'running'
        )
        update sync.requests as r
        set state = case
            when ranked.place = 1 and not exists (
                select from sync.requests as q
                where q.state = 'queued' and q.project_id = r.project_id and q.stream is not distinct from r.stream
                    and q.crm_id is not distinct from r.crm_id and q.is_full = r.is_full
                    and q.since is not distinct from r.since
            ) then 'queued' else 'cancelled' end
        from ranked
        where r.request_id = ranked.request_id and r.state = 'running'
        """,  # noqa: S608
        {"prefix": locks.PREFIX + lock_name(0)[:-1]},
    )
    return cursor.rowcount


async def backlog(connection: Connection, *, single_only: bool = False) -> Backlog:
    """Requests that are due and wait."""
    cursor = await connection.execute(
        """
        select count(*) as count,
            coalesce(extract(epoch from clock_timestamp() - min(greatest(not_before, requested_at))), 0)::float8
                as oldest_seconds
        from sync.requests
        join config.projects using (project_id)
        where state = 'queued' and not_before <= clock_timestamp() and is_enabled and (not %s or crm_id is not null)
        """,
        [single_only],
    )
    row = await cursor.fetchone()
    assert row is not None
    return Backlog(**row)


async def get(connection: Connection, request_id: int) -> dict[str, Any] | None:
    """A request with its state and result, for whoever asked for it."""
    cursor = await connection.execute(
        f"""
        select {_COLUMNS}, state, nullif(not_before, '-infinity') as not_before, requested_at, requested_by, started_at,
            finished_at, error_word,
            error_message, result
        from sync.requests where request_id = %s
        """,  # noqa: S608
        [request_id],
    )
    return await cursor.fetchone()


async def list_newest(connection: Connection, project_ids: Sequence[str], limit: int = 20) -> list[dict[str, Any]]:
    """The newest requests of these projects."""
    cursor = await connection.execute(
        f"""
        select {_COLUMNS}, state, requested_at, started_at, finished_at, error_word, error_message, result
        from sync.requests where project_id = any(%s) order by requested_at desc limit %s
        """,  # noqa: S608
        [list(project_ids), limit],
    )
    return await cursor.fetchall()
