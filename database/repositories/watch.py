"""What schedules, sensors and checks look at: one quick query each, nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class QueueHead:
    """The raw row that has waited for core longest, of those that may be tried now."""

    queue_id: int
    waiting_seconds: float


@dataclass(frozen=True, slots=True)
class DueRequest:
    project_id: str
    request_id: int
    is_single: bool
    """Whether it asks for one object, which is the relay's work."""


@dataclass(frozen=True, slots=True)
class TwoWayBacklog:
    """What may be sent or applied now."""

    count: int
    oldest_seconds: float
    """0: nothing waits but what waits for a CRM that does not answer."""
    newest: str
    """Another text as soon as something new waits."""


@dataclass(frozen=True, slots=True)
class LastPull:
    """What pulling an active project last came to."""

    project_id: str
    interval_minutes: int | None
    success_at: datetime | None
    error: str | None
    """Message of the newest run, if that failed."""


async def written_rows(connection: Connection) -> int:
    """A number that changes whenever rows of core or config were written: PostgreSQL's own counters, so no scan.

    It may change without reason (a rolled back transaction, a reset after a crash); it does not stay after a change.
    """
    cursor = await connection.execute(
        """
        select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint as written
        from pg_stat_user_tables
        where schemaname = 'core' or (schemaname = 'config' and relname <> 'audit_log')
        """
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["written"])


async def queue_head(connection: Connection) -> QueueHead | None:
    """None if nothing may be tried now."""
    cursor = await connection.execute(
        """
        select queue_id,
            extract(epoch from clock_timestamp() - greatest(enqueued_at, not_before))::float8 as waiting_seconds
        from sync.raw_queue
        where not_before <= clock_timestamp()
        order by enqueued_at, queue_id
        limit 1
        """
    )
    row = await cursor.fetchone()
    return None if row is None else QueueHead(**row)


async def two_way_backlog(connection: Connection) -> TwoWayBacklog:
    """Rows of the outbox and the inbound queue of enabled projects; what somebody is sending counts after a minute."""
    cursor = await connection.execute(
        """
        with waiting as (
            select project_id, outbox_id as id, greatest(changed_at, not_before) as since, true as goes_out
            from sync.outbox
            where state = 'waiting' and not_before <= clock_timestamp()
            union all
            select project_id, outbox_id, claimed_at, true
            from sync.outbox
            where state = 'sending' and claimed_at <= clock_timestamp() - interval '1 minute'
            union all
            select project_id, queue_id, greatest(enqueued_at, not_before), false
            from sync.inbound_queue
            where not_before <= clock_timestamp()
        )
        select count(*) as count,
            coalesce(extract(epoch from clock_timestamp() - min(w.since) filter (where not (w.goes_out and exists (
                select from sync.alerts as a
                where a.project_id = w.project_id and a.kind = 'crm_away' and a.resolved_at is null
            )))), 0)::float8 as oldest_seconds,
            concat(max(w.id) filter (where w.goes_out), '-', max(w.id) filter (where not w.goes_out)) as newest
        from waiting as w
        join config.projects as p on p.project_id = w.project_id and p.is_enabled
        """
    )
    row = await cursor.fetchone()
    assert row is not None
    return TwoWayBacklog(**row)


async def due_requests(connection: Connection, *, single_older_than: timedelta, limit: int) -> list[DueRequest]:
    """Queued requests whose time has come, oldest first; of disabled projects only those that a person made.

    Requests for one object count only when they have waited for `single_older_than`.
    """
    cursor = await connection.execute(
        """
        select requests.project_id, requests.request_id, requests.crm_id is not null as is_single
        from sync.requests
        join config.projects using (project_id)
        where requests.state = 'queued'
            and (projects.is_enabled or requests.origin = 'manual')
            and requests.not_before <= clock_timestamp()
            and (
                requests.crm_id is null
                or greatest(requests.requested_at, requests.not_before) <= clock_timestamp() - %(older)s
            )
        order by requests.requested_at, requests.request_id
        limit %(limit)s
        """,
        {"older": single_older_than, "limit": limit},
    )
    return [DueRequest(**row) for row in await cursor.fetchall()]


async def last_pull_starts(connection: Connection, streams: Sequence[str]) -> dict[str, datetime]:
    """By active project: when any of the streams was last begun to be pulled, with success or not ended yet.

    Projects without such a pull are left out.
    """
    cursor = await connection.execute(
        """
        select projects.project_id, newest.started_at
        from config.projects
        cross join lateral (
            select started_at
            from sync.runs
            where runs.project_id = projects.project_id and kind = 'pull' and stream = any(%(streams)s)
                and state in ('success', 'running')
            order by started_at desc
            limit 1
        ) as newest
        where projects.is_enabled
        """,
        {"streams": list(streams)},
    )
    return {row["project_id"]: row["started_at"] for row in await cursor.fetchall()}


async def last_pulls(connection: Connection, crm: str, streams: Sequence[str]) -> list[LastPull]:
    """What pulling any of the streams last came to, for each active project of a CRM, by id."""
    cursor = await connection.execute(
        """
        select
            projects.project_id,
            (projects.sync ->> 'interval_minutes')::integer as interval_minutes,
            success.finished_at as success_at,
            newest.error_message as error
        from config.projects
        left join lateral (
            select error_message
            from sync.runs
            where runs.project_id = projects.project_id and kind = 'pull' and stream = any(%(streams)s)
            order by started_at desc
            limit 1
        ) as newest on true
        left join lateral (
            select finished_at
            from sync.runs
            where runs.project_id = projects.project_id and kind = 'pull' and stream = any(%(streams)s)
                and state = 'success'
            order by started_at desc
            limit 1
        ) as success on true
        where projects.is_enabled and projects.crm = %(crm)s
        order by projects.project_id
        """,
        {"streams": list(streams), "crm": crm},
    )
    return [LastPull(**row) for row in await cursor.fetchall()]


async def open_dead_letters(connection: Connection) -> dict[str, int]:
    """Open dead letters by project; projects without one are left out."""
    cursor = await connection.execute(
        """
        select project_id, count(*) as open
        from sync.dead_letters
        where state in ('open', 'permanently_failed')
        group by project_id
        order by project_id
        """
    )
    return {row["project_id"]: row["open"] for row in await cursor.fetchall()}
