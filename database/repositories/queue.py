"""sync.raw_queue: raw rows that are not in core yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class Entry:
    queue_id: int
    source: str
    """webhook or api"""
    raw_ids: list[int]


@dataclass(frozen=True, slots=True)
class Backlog:
    count: int
    """Raw rows that wait."""
    oldest_seconds: float
    """Age of the oldest of them; 0 if there is none."""


def lock_name(project_id: str) -> str:
    """Who writes a project's core holds this lock: there is one writer at a time, which makes its decisions exact."""
    return f"core.{project_id}"


async def enqueue(connection: Connection, project_id: str, source: str, raw_ids: Sequence[int]) -> None:
    """Queue raw rows as one entry."""
    await connection.execute(
        "insert into sync.raw_queue (project_id, source, raw_ids) values (%s, %s, %s)",
        [project_id, source, list(raw_ids)],
    )


async def due_projects(connection: Connection, *, real_time_only: bool = False) -> list[str]:
    """Projects with entries that may be taken now. Steps from project to project by the index, whatever the backlog.

    `real_time_only` leaves out those whose settings say `real_time: false`.
    """
    cursor = await connection.execute(
        """
        with recursive waiting as (
            (select project_id from sync.raw_queue order by project_id limit 1)
            union all
            select next.project_id
            from waiting, lateral (
                select project_id from sync.raw_queue where project_id > waiting.project_id order by project_id limit 1
            ) as next
        )
        select project_id
        from waiting
        where exists (
            select from sync.raw_queue as q
            where q.project_id = waiting.project_id and q.not_before <= clock_timestamp()
        )
        and not (%s and exists (
            select from config.projects as p
            where p.project_id = waiting.project_id and p.sync ->> 'real_time' = 'false'
        ))
        """,
        [real_time_only],
    )
    return [row["project_id"] for row in await cursor.fetchall()]


async def take(connection: Connection, project_id: str, max_rows: int) -> list[Entry]:
    """The project's oldest entries, locked until the transaction ends: at most `max_rows` raw rows, or one entry."""
    cursor = await connection.execute(
        """
        with candidates as materialized (
            select queue_id, source, raw_ids
            from sync.raw_queue
            where project_id = %(project)s and not_before <= clock_timestamp()
            order by queue_id
            limit %(rows)s
            for update skip locked
        ),
        counted as (
            select queue_id, source, raw_ids,
                sum(cardinality(raw_ids)) over (order by queue_id) as rows_with_it,
                row_number() over (order by queue_id) as position
            from candidates
        )
        select queue_id, source, raw_ids
        from counted
        where rows_with_it <= %(rows)s or position = 1
        order by queue_id
        """,
        {"project": project_id, "rows": max_rows},
    )
    return [Entry(**row) for row in await cursor.fetchall()]


async def delete(connection: Connection, project_id: str, queue_ids: Sequence[int]) -> None:
    await connection.execute(
        "delete from sync.raw_queue where project_id = %s and queue_id = any(%s)", [project_id, list(queue_ids)]
    )


async def backlog(connection: Connection, project_id: str | None = None) -> Backlog:
    """How much waits for core, of one project or of all."""
    cursor = await connection.execute(
        """
        select coalesce(sum(cardinality(raw_ids)), 0)::bigint as count,
            coalesce(extract(epoch from clock_timestamp() - min(enqueued_at)), 0)::float8 as oldest_seconds
        from sync.raw_queue
        where project_id = %(project)s or %(project)s::text is null
        """,
        {"project": project_id},
    )
    row = await cursor.fetchone()
    assert row is not None
    return Backlog(**row)
