"""sync.run_days: runs by the UTC day they began on, summed once the day is over and they have ended.

A day counts as it is summed while all of its runs are; else, as today, its runs are read: marts.integration_statistics
does so. Runs may be deleted by whole days that are summed and more than 31 days back: the sums stay.
"""

from __future__ import annotations

from database.connection import Connection
from database.repositories import locks

_MOST = 40
"""Days that are summed at once."""


async def roll_up(connection: Connection, project_id: str) -> bool:
    """Sum up days that are over; whether there may be more. Needs no transaction."""
    async with connection.transaction():
        # Taken by a statement of its own: the next one then sees what an earlier holder has summed.
        if not await locks.try_transaction(connection, f"run_days.{project_id}"):
            return False
        cursor = await connection.execute(_SUM, {"project": project_id, "most": _MOST})
        row = await cursor.fetchone()
        assert row is not None
        return bool(row["days"] == _MOST)


async def roll_up_all(connection: Connection) -> None:
    """The same for every project, to the end."""
    cursor = await connection.execute("select project_id from config.projects order by project_id")
    for row in await cursor.fetchall():
        while await roll_up(connection, row["project_id"]):
            continue


# Each day is summed anew from all of its runs. One that was changed meanwhile is not marked: its day is read and summed
# again.
_SUM = """
    with days as materialized (
        select distinct (started_at at time zone 'UTC')::date as day
        from sync.runs
        where project_id = %(project)s and not is_summed and state <> 'running'
            and started_at < date_trunc('day', now() at time zone 'UTC') at time zone 'UTC'
        order by day
        limit %(most)s
    ),

    ended as materialized (
        select days.day, r.*, r.kind not in ('replay', 'reconcile') as is_sync, r.state = 'success' as is_success
        from days
        join sync.runs as r
            on r.project_id = %(project)s and r.state <> 'running'
            and r.started_at >= days.day::timestamp at time zone 'UTC'
            and r.started_at < (days.day + 1)::timestamp at time zone 'UTC'
    ),

    successes as (
        select day, max(started_at) as started_at from ended where is_sync and is_success group by day
    ),

    summed as (
        insert into sync.run_days as stored (
            project_id, day, synced, succeeded, failed, timed, timed_us, last_success_at, last_success_started_at,
            failed_since_success
        )
        select
            %(project)s, ended.day, sum(rows_new + rows_changed), count(*) filter (where is_success),
            count(*) filter (where not is_success), count(finished_at) filter (where is_success),
            coalesce(
                sum(extract(epoch from finished_at - ended.started_at)) filter (where is_success) * 1000000, 0
            )::bigint,
            max(finished_at) filter (where is_success), max(successes.started_at),
            count(*) filter (
                where not is_success
                    and (successes.started_at is null or ended.started_at > successes.started_at)
            )
        from ended
        left join successes on ended.day = successes.day
        where is_sync
        group by ended.day
        on conflict (project_id, day) do update set (
            synced, succeeded, failed, timed, timed_us, last_success_at, last_success_started_at, failed_since_success
        ) = row (
            excluded.synced, excluded.succeeded, excluded.failed, excluded.timed, excluded.timed_us,
            excluded.last_success_at, excluded.last_success_started_at, excluded.failed_since_success
        )
    ),

    marked as (
        update sync.runs as r set is_summed = true
        from ended
        where r.project_id = %(project)s and r.run_id = ended.run_id and not r.is_summed
            and (r.kind, r.state, r.finished_at, r.rows_new, r.rows_changed) is not distinct from
                (ended.kind, ended.state, ended.finished_at, ended.rows_new, ended.rows_changed)
    )

    select count(*) as days from days
"""
