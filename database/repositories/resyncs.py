"""sync.resyncs: full comparisons of both sides of a project, which wait, run and end.

A running one's worker holds its lock in a session of its own; one that says `running` with the lock free belongs to a
dead worker, and goes on from its position with another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from database.connection import Connection
from database.repositories import locks
from database.repositories.words import ErrorWord

_COLUMNS = """
    resync_id, project_id, kind, state, stage, position, done, total, requested_by, requested_at,
    started_at, stage_started_at, finished_at, error_word, message
"""


Kind = Literal["full", "check"]
"""full: everything is read and compared, and what one side lacks is sent; check: the nightly comparison, at once."""


@dataclass(frozen=True, slots=True)
class ResyncRow:
    resync_id: int
    project_id: str
    kind: Kind
    state: str
    """queued, running, done, failed or cancelled"""
    stage: str | None
    """pull, or the kind of object that is compared; None: not begun."""
    position: dict[str, Any]
    done: int
    """Of the stage."""
    total: int | None
    requested_by: str | None
    requested_at: datetime
    started_at: datetime | None
    stage_started_at: datetime | None
    finished_at: datetime | None
    error_word: str | None
    message: str | None


def lock_name(resync_id: int | str) -> str:
    return f"resync.{resync_id}"


async def enqueue(connection: Connection, project_id: str, requested_by: str | None = None, kind: Kind = "full") -> int:
    """Ask for one; the id of the one under way, of whichever kind, if there is one."""
    cursor = await connection.execute(
        """
        insert into sync.resyncs as stored (project_id, requested_by, kind) values (%s, %s, %s)
        on conflict (project_id) where state in ('queued', 'running') do update set requested_at = stored.requested_at
        returning resync_id
        """,
        [project_id, requested_by, kind],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["resync_id"])


async def requeue_dead(connection: Connection) -> int:
    """Queue those again whose worker died. Returns how many."""
    cursor = await connection.execute(
        """
        with running as materialized (
            select project_id, resync_id from sync.resyncs where state = 'running'
        ),
        dead as materialized (
            select project_id, resync_id from running
            where pg_try_advisory_xact_lock(hashtextextended(%s || resync_id, 0))
        )
        update sync.resyncs as r set state = 'queued'
        from dead
        where r.project_id = dead.project_id and r.resync_id = dead.resync_id and r.state = 'running'
        """,
        [locks.PREFIX + lock_name("")],
    )
    return cursor.rowcount


async def queued(connection: Connection) -> list[ResyncRow]:
    """Those that wait for a worker, oldest first."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from sync.resyncs where state = 'queued' order by requested_at, resync_id"  # noqa: S608
    )
    return [ResyncRow(**row) for row in await cursor.fetchall()]


async def claim(connection: Connection, resync_id: int | None = None) -> ResyncRow | None:
    """Take the oldest that waits, or this one, and hold its lock for as long as the connection lives; None if there is
    none."""
    async with connection.transaction():
        cursor = await connection.execute(
            """
            select project_id, resync_id from sync.resyncs
            where state = 'queued' and (%(id)s::bigint is null or resync_id = %(id)s)
            order by requested_at, resync_id
            limit 1
            for update skip locked
            """,
            {"id": resync_id},
        )
        row = await cursor.fetchone()
        if row is None or not await locks.try_session(connection, lock_name(row["resync_id"])):
            return None
        cursor = await connection.execute(
            f"""
            update sync.resyncs set state = 'running', started_at = coalesce(started_at, clock_timestamp())
            where project_id = %s and resync_id = %s
            returning {_COLUMNS}
            """,  # noqa: S608
            [row["project_id"], row["resync_id"]],
        )
        claimed = await cursor.fetchone()
        assert claimed is not None
        return ResyncRow(**claimed)


async def save(
    connection: Connection,
    resync: ResyncRow,
    stage: str,
    position: Mapping[str, Any],
    done: int,
    total: int | None,
    message: str | None = None,
) -> bool:
    """Store how far it is. False if it has been cancelled."""
    cursor = await connection.execute(
        """
        update sync.resyncs
        set stage_started_at = case when stage = %(stage)s then stage_started_at else clock_timestamp() end,
            stage = %(stage)s, position = %(position)s, done = %(done)s, total = %(total)s, message = %(message)s
        where project_id = %(project)s and resync_id = %(id)s and state = 'running'
        """,
        {
            "stage": stage, "position": Jsonb(dict(position)), "done": done, "total": total, "message": message,
            "project": resync.project_id, "id": resync.resync_id,
        },
    )  # fmt: skip
    return cursor.rowcount > 0


async def is_running(connection: Connection, resync: ResyncRow) -> bool:
    """Whether nobody has cancelled it."""
    cursor = await connection.execute(
        "select state = 'running' as flag from sync.resyncs where project_id = %s and resync_id = %s",
        [resync.project_id, resync.resync_id],
    )
    row = await cursor.fetchone()
    return row is not None and bool(row["flag"])


async def finish(
    connection: Connection,
    resync: ResyncRow,
    state: str,
    *,
    error_word: ErrorWord | None = None,
    message: str | None = None,
) -> None:
    """End a running one as done or failed, or let it wait again (queued)."""
    await connection.execute(
        """
        update sync.resyncs
        set state = %(state)s, error_word = %(word)s, message = coalesce(%(message)s, message),
            finished_at = case when %(state)s <> 'queued' then clock_timestamp() end
        where project_id = %(project)s and resync_id = %(id)s and state = 'running'
        """,
        {
            "state": state, "word": error_word, "message": message, "project": resync.project_id,
            "id": resync.resync_id,
        },
    )  # fmt: skip


async def cancel(connection: Connection, project_id: str, resync_id: int | None = None) -> ResyncRow | None:
    """Cancel this one, or the project's one under way: its worker notices. None if it is not under way."""
    cursor = await connection.execute(
        f"""
        update sync.resyncs set state = 'cancelled', finished_at = clock_timestamp()
        where project_id = %(project)s and state in ('queued', 'running')
            and (%(id)s::bigint is null or resync_id = %(id)s)
        returning {_COLUMNS}
        """,  # noqa: S608
        {"project": project_id, "id": resync_id},
    )
    row = await cursor.fetchone()
    return None if row is None else ResyncRow(**row)


async def get(connection: Connection, project_id: str, resync_id: int) -> ResyncRow | None:
    cursor = await connection.execute(
        f"select {_COLUMNS} from sync.resyncs where project_id = %s and resync_id = %s",  # noqa: S608
        [project_id, resync_id],
    )
    row = await cursor.fetchone()
    return None if row is None else ResyncRow(**row)


async def newest(connection: Connection, project_id: str) -> ResyncRow | None:
    """The project's last one."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from sync.resyncs where project_id = %s order by resync_id desc limit 1",  # noqa: S608
        [project_id],
    )
    row = await cursor.fetchone()
    return None if row is None else ResyncRow(**row)


async def page(
    connection: Connection, project_ids: Sequence[str], *, before_id: int | None = None, limit: int = 20
) -> list[ResyncRow]:
    """Those of these projects, the newest first; `before_id` is the last id of the page before."""
    cursor = await connection.execute(
        f"""
        select {_COLUMNS} from sync.resyncs
        where project_id = any(%(projects)s) and (%(before)s::bigint is null or resync_id < %(before)s)
        order by resync_id desc
        limit %(limit)s
        """,  # noqa: S608
        {"projects": list(project_ids), "before": before_id, "limit": limit},
    )
    return [ResyncRow(**row) for row in await cursor.fetchall()]


async def under_way(connection: Connection, project_ids: Sequence[str]) -> list[ResyncRow]:
    """Those that wait or run; at most one of each project."""
    cursor = await connection.execute(
        f"""
        select {_COLUMNS} from sync.resyncs
        where project_id = any(%s) and state in ('queued', 'running')
        order by project_id
        """,  # noqa: S608
        [list(project_ids)],
    )
    return [ResyncRow(**row) for row in await cursor.fetchall()]


async def has_landed(connection: Connection, resync: ResyncRow, stream: str, trigger: str) -> bool:
    """Whether a pull of this stream has stored anything for this resync, and so its position, which it goes on from."""
    cursor = await connection.execute(
        """
        select exists (
            select from sync.runs
            where project_id = %s and started_at >= %s and kind = 'pull' and stream = %s and trigger = %s and pages > 0
        ) as flag
        """,
        [resync.project_id, resync.started_at, stream, trigger],
    )
    row = await cursor.fetchone()
    assert row is not None
    return bool(row["flag"])


async def count_to_send(connection: Connection, project_id: str, most: int) -> int:
    """How many rows of a project wait in the outbox, counted up to `most`."""
    cursor = await connection.execute(
        """
        select count(*) as count from (
            select from sync.outbox where project_id = %s and state in ('waiting', 'sending') limit %s
        ) as o
        """,
        [project_id, most],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["count"])
