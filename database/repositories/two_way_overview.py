"""How the two-way sync of several projects stands at once, for people who look at it: queues, links, errors, alerts.

Read every few seconds, so that each query goes by an index of what waits or failed. Links are counted up to COUNTED.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from database.connection import Connection

COUNTED = 10_000
"""Counts of links stop here: this many means this many or more."""


@dataclass(frozen=True, slots=True)
class EntityState:
    """A kind of object of a project."""

    project_id: str
    entity: str
    outbox_waiting: int
    outbox_sending: int
    outbox_failed: int
    outbox_oldest_seconds: float | None
    """Age of the oldest change that waits or is being sent."""
    inbound_waiting: int
    inbound_oldest_seconds: float | None
    linked: int
    """Up to COUNTED."""
    pending: int
    errors: int
    open_conflicts: int
    last_outbound_at: datetime | None
    """When the sync last wrote such an object at the CRM; None: not as long as it is remembered."""
    last_inbound_at: datetime | None
    """The same, in vms."""


@dataclass(frozen=True, slots=True)
class ProjectState:
    project_id: str
    raw_waiting: int
    """Rows that have landed and are not in core."""
    raw_oldest_seconds: float | None
    rereads_waiting: int
    rereads_oldest_seconds: float | None
    letters_open: int


@dataclass(frozen=True, slots=True)
class OpenAlert:
    alert_id: int
    project_id: str
    kind: str
    subject: str
    message: str
    raised_at: datetime


async def entities(connection: Connection, project_ids: Sequence[str]) -> list[EntityState]:
    """Four rows for each project, in the order in which the objects need each other."""
    cursor = await connection.execute(
        """
        with outbox as (
            select project_id, entity_type, count(*) filter (where state = 'waiting') as waiting,
                count(*) filter (where state = 'sending') as sending,
                extract(epoch from clock_timestamp() - min(changed_at))::float8 as seconds
            from sync.outbox
            where project_id = any(%(projects)s) and state in ('waiting', 'sending')
            group by project_id, entity_type
        ),
        failed as (
            select project_id, entity_type, count(*) as count
            from sync.outbox
            where project_id = any(%(projects)s) and state = 'failed' and state in ('skipped', 'failed')
            group by project_id, entity_type
        ),
        inbound as (
            select project_id, entity_type, count(*) as waiting,
                extract(epoch from clock_timestamp() - min(enqueued_at))::float8 as seconds
            from sync.inbound_queue
            where project_id = any(%(projects)s)
            group by project_id, entity_type
        ),
        unlinked as (
            select project_id, entity_type, count(*) filter (where sync_status = 'pending') as pending,
                count(*) filter (where sync_status = 'error') as errors
            from sync.mappings
            where project_id = any(%(projects)s) and sync_status <> 'synced'
            group by project_id, entity_type
        ),
        disputed as (
            select project_id, entity_type, count(*) as count
            from sync.conflicts
            where project_id = any(%(projects)s) and state = 'open'
            group by project_id, entity_type
        )
        select p.project_id, e.entity, coalesce(o.waiting, 0) as outbox_waiting,
            coalesce(o.sending, 0) as outbox_sending, coalesce(f.count, 0) as outbox_failed,
            o.seconds as outbox_oldest_seconds, coalesce(i.waiting, 0) as inbound_waiting,
            i.seconds as inbound_oldest_seconds, l.count as linked, coalesce(u.pending, 0) as pending,
            coalesce(u.errors, 0) as errors, coalesce(d.count, 0) as open_conflicts,
            (
                select w.written_at from sync.write_ledger as w
                where w.project_id = p.project_id and w.side = 'crm' and w.entity_type = e.entity
                order by w.ledger_id desc limit 1
            ) as last_outbound_at,
            (
                select w.written_at from sync.write_ledger as w
                where w.project_id = p.project_id and w.side = 'vms' and w.entity_type = e.entity
                order by w.ledger_id desc limit 1
            ) as last_inbound_at
        from unnest(%(projects)s::text[]) as p (project_id)
        cross join unnest(array['customer', 'article', 'order', 'payment']) with ordinality as e (entity, n)
        left join outbox as o on o.project_id = p.project_id and o.entity_type = e.entity
        left join failed as f on f.project_id = p.project_id and f.entity_type = e.entity
        left join inbound as i on i.project_id = p.project_id and i.entity_type = e.entity
        left join unlinked as u on u.project_id = p.project_id and u.entity_type = e.entity
        left join disputed as d on d.project_id = p.project_id and d.entity_type = e.entity
        cross join lateral (
            select count(*) as count from (
                select from sync.mappings as m
                where m.project_id = p.project_id and m.entity_type = e.entity and m.crm_entity_id is not null
                order by m.crm_entity_id
                limit %(counted)s
            ) as first_ones
        ) as l
        order by p.project_id, e.n
        """,
        {"projects": list(project_ids), "counted": COUNTED},
    )
    return [EntityState(**row) for row in await cursor.fetchall()]


async def projects(connection: Connection, project_ids: Sequence[str]) -> list[ProjectState]:
    """A row for each project: what waits on its way in from the CRM, and what could not be applied or sent."""
    cursor = await connection.execute(
        """
        with raw as (
            select project_id, sum(cardinality(raw_ids))::bigint as waiting,
                extract(epoch from clock_timestamp() - min(enqueued_at))::float8 as seconds
            from sync.raw_queue
            where project_id = any(%(projects)s)
            group by project_id
        ),
        rereads as (
            select project_id, count(*) as waiting,
                extract(epoch from clock_timestamp() - min(requested_at))::float8 as seconds
            from sync.requests
            where state in ('queued', 'running') and crm_id is not null and project_id = any(%(projects)s)
            group by project_id
        ),
        letters as (
            select project_id, count(*) as count
            from sync.dead_letters
            where project_id = any(%(projects)s) and state in ('open', 'permanently_failed')
            group by project_id
        )
        select p.project_id, coalesce(r.waiting, 0) as raw_waiting, r.seconds as raw_oldest_seconds,
            coalesce(q.waiting, 0) as rereads_waiting, q.seconds as rereads_oldest_seconds,
            coalesce(l.count, 0) as letters_open
        from unnest(%(projects)s::text[]) as p (project_id)
        left join raw as r using (project_id)
        left join rereads as q using (project_id)
        left join letters as l using (project_id)
        order by p.project_id
        """,
        {"projects": list(project_ids)},
    )
    return [ProjectState(**row) for row in await cursor.fetchall()]


async def open_alerts(connection: Connection, project_ids: Sequence[str], limit: int = 50) -> list[OpenAlert]:
    """The newest alerts that are not over."""
    cursor = await connection.execute(
        """
        select alert_id, project_id, kind, subject, message, raised_at
        from sync.alerts
        where project_id = any(%s) and resolved_at is null
        order by raised_at desc, alert_id desc
        limit %s
        """,
        [list(project_ids), limit],
    )
    return [OpenAlert(**row) for row in await cursor.fetchall()]


async def projects_with_links(connection: Connection, project_ids: Sequence[str]) -> set[str]:
    """Those of these projects of which anything is, or was, kept in step."""
    # In order of the key: else PostgreSQL reads the whole table of whoever has nothing there.
    cursor = await connection.execute(
        """
        select p.project_id from unnest(%s::text[]) as p (project_id)
        where (
            select true from sync.mappings as m where m.project_id = p.project_id order by m.mapping_id limit 1
        ) or (
            select true from sync.outbox as o where o.project_id = p.project_id order by o.outbox_id limit 1
        )
        """,
        [list(project_ids)],
    )
    return {row["project_id"] for row in await cursor.fetchall()}


async def away(connection: Connection, project_ids: Sequence[str]) -> set[str]:
    """Those whose CRM did not answer when somebody last asked."""
    cursor = await connection.execute(
        "select project_id from sync.alerts where project_id = any(%s) and kind = 'crm_away' and resolved_at is null",
        [list(project_ids)],
    )
    return {row["project_id"] for row in await cursor.fetchall()}


async def count_open(connection: Connection, project_ids: Sequence[str]) -> dict[str, int]:
    """For the tabs of the pages: open letters, open conflicts."""
    cursor = await connection.execute(
        """
        select
            (
                select count(*) from sync.dead_letters
                where project_id = any(%(projects)s) and state in ('open', 'permanently_failed')
            ) as letters,
            (
                select count(*) from sync.conflicts where project_id = any(%(projects)s) and state = 'open'
            ) as conflicts
        """,
        {"projects": list(project_ids)},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row
