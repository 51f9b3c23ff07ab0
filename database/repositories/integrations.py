"""How projects' synchronisation fares, for the pages about integrations: marts.integration_statistics and sync.runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from database.connection import Connection
from database.repositories.words import ErrorWord

DAYS = 30


@dataclass(frozen=True, slots=True)
class Statistics:
    """A row of marts.integration_statistics."""

    project_id: str
    total_synced: int
    last_success_at: datetime | None
    success_rate_30d: Decimal | None
    failed_syncs_30d: int
    avg_sync_seconds_30d: Decimal | None
    consecutive_failures: int


@dataclass(frozen=True, slots=True)
class RunDay:
    day: date
    """In the zone asked for."""
    succeeded: int
    failed: int
    rows: int
    """New or changed."""
    avg_seconds: Decimal | None
    """Of those that succeeded."""


@dataclass(frozen=True, slots=True)
class RunRow:
    run_id: int
    kind: str
    stream: str | None
    trigger: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    rows_seen: int
    rows_new: int
    rows_changed: int
    rows_failed: int
    error_word: ErrorWord | None
    error_message: str | None


async def statistics(connection: Connection, project_ids: Sequence[str]) -> dict[str, Statistics] | None:
    """By project; None while the marts were never built."""
    cursor = await connection.execute("select to_regclass('marts.integration_statistics') is not null as is_built")
    row = await cursor.fetchone()
    if row is None or not row["is_built"]:
        return None
    cursor = await connection.execute(
        """
        select project_id, total_synced, last_success_at, success_rate_30d, failed_syncs_30d, avg_sync_seconds_30d,
            consecutive_failures
        from marts.integration_statistics
        where project_id = any(%s)
        """,
        [list(project_ids)],
    )
    return {row["project_id"]: Statistics(**row) for row in await cursor.fetchall()}


async def run_days(connection: Connection, project_id: str, timezone: str) -> list[RunDay]:
    """Runs by the day they began on, of the last 30 days, days without any included; oldest first."""
    cursor = await connection.execute(
        """
        with days as (
            select generate_series(today - (%(days)s - 1), today, interval '1 day')::date as day
            from (select (now() at time zone %(zone)s)::date as today) as t
        ),
        -- Quarters of an hour first: days of all zones are made of them, and few have to be put in one.
        quarters as (
            select
                date_bin('15 minutes', started_at, '2000-01-01 00:00+00') as began_at,
                count(*) filter (where state = 'success') as succeeded,
                count(*) filter (where state <> 'success') as failed,
                sum(rows_new + rows_changed) as rows,
                sum(finished_at - started_at) filter (where state = 'success') as took,
                count(finished_at) filter (where state = 'success') as timed
            from sync.runs
            where project_id = %(project)s and started_at >= now() - %(days)s * interval '1 day'
                and kind not in ('replay', 'reconcile') and state <> 'running'
            group by 1
        )
        select
            days.day,
            coalesce(sum(succeeded), 0)::bigint as succeeded,
            coalesce(sum(failed), 0)::bigint as failed,
            coalesce(sum(rows), 0)::bigint as rows,
            round(extract(epoch from sum(took)) / nullif(sum(timed), 0), 3) as avg_seconds
        from days left join quarters on days.day = (began_at at time zone %(zone)s)::date
        group by days.day
        order by days.day
        """,
        {"project": project_id, "zone": timezone, "days": DAYS},
    )
    return [RunDay(**row) for row in await cursor.fetchall()]


async def newest_runs(connection: Connection, project_id: str, limit: int = 15) -> list[RunRow]:
    cursor = await connection.execute(
        """
        select run_id, kind, stream, trigger, state, started_at, finished_at, rows_seen, rows_new, rows_changed,
            rows_failed, error_word, error_message
        from sync.runs where project_id = %s order by started_at desc, run_id desc limit %s
        """,
        [project_id, limit],
    )
    return [RunRow(**row) for row in await cursor.fetchall()]


async def sync_under_way(connection: Connection, project_id: str) -> int | None:
    """The newest request that a person made for the whole project, and that has not ended."""
    cursor = await connection.execute(
        """
        select request_id from sync.requests
        where project_id = %s and state in ('queued', 'running') and origin = 'manual' and crm_id is null
        order by request_id desc
        limit 1
        """,
        [project_id],
    )
    row = await cursor.fetchone()
    return None if row is None else int(row["request_id"])


async def transactions_changed(connection: Connection, project_id: str, since: datetime, until: datetime | None) -> int:
    """How many sales got another version in that time; `until` None: up to now."""
    cursor = await connection.execute(
        """
        select count(distinct external_id) as count
        from core.transaction_changes
        where project_id = %s and changed_at >= %s and changed_at <= coalesce(%s, clock_timestamp())
        """,
        [project_id, since, until],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["count"])


async def progress_since(connection: Connection, project_id: str, since: datetime) -> dict[str, Any]:
    """What the manual runs that began since then have read so far: stream under way, rows."""
    cursor = await connection.execute(
        """
        select coalesce(sum(rows_seen), 0)::bigint as rows,
            (array_agg(stream order by started_at desc) filter (where state = 'running'))[1] as stream
        from sync.runs
        where project_id = %s and started_at >= %s and trigger = 'manual'
        """,
        [project_id, since],
    )
    row = await cursor.fetchone()
    assert row is not None
    return row
