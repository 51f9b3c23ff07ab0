"""How each project is at a glance: its last synchronisations, its open orders, what waits for a person.

Everything is counted by index, project by project; nothing is scanned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from database.connection import Connection
from database.repositories.shown_orders import Hiding, open_shown
from database.repositories.words import ErrorWord

_KINDS = ["pull", "backfill", "import"]
_RUNS = 60
"""So many runs back the newest one of each stream is looked for."""


@dataclass(frozen=True, slots=True)
class StreamRun:
    """The newest run of a stream that has ended."""

    stream: str | None
    is_success: bool
    finished_at: datetime | None
    error_word: ErrorWord | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class SyncState:
    """What pulls, backfills and imports of a project last came to."""

    success_at: datetime | None
    """End of the last one that succeeded."""
    is_running: bool
    streams: tuple[StreamRun, ...]
    """By stream; empty: nothing was ever pulled."""


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """Open orders, and those of them whose current stage has a limit, by the state of now."""

    open: int
    ok: int
    near: int
    over: int


@dataclass(frozen=True, slots=True)
class AlertCount:
    """Open alerts of one kind."""

    kind: str
    count: int
    since: datetime
    """The oldest one's."""
    message: str
    """The newest one's."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What only a person can help, by project."""

    kind: str
    """inbound, outbound: dead letters; conflict"""
    count: int
    since: datetime


async def sync_states(connection: Connection, project_ids: Sequence[str]) -> dict[str, SyncState]:
    """A state for each of these projects."""
    cursor = await connection.execute(
        """
        select p.project_id, success.finished_at as success_at,
            exists (select from sync.runs as r where r.project_id = p.project_id and r.state = 'running'
                and r.kind = any(%(kinds)s)) as is_running
        from unnest(%(projects)s::text[]) as p (project_id)
        left join lateral (
            select finished_at from sync.runs as r
            where r.project_id = p.project_id and r.kind = any(%(kinds)s) and r.state = 'success'
            order by r.started_at desc limit 1
        ) as success on true
        """,
        {"projects": list(project_ids), "kinds": _KINDS},
    )
    found = await cursor.fetchall()
    cursor = await connection.execute(
        """
        select distinct on (r.project_id, r.stream)
            r.project_id, r.stream, r.state = 'success' as is_success, r.finished_at, r.error_word, r.error_message
        from unnest(%(projects)s::text[]) as p (project_id)
        cross join lateral (
            select * from sync.runs as r
            where r.project_id = p.project_id and r.kind = any(%(kinds)s) and r.state <> 'running'
            order by r.started_at desc limit %(runs)s
        ) as r
        order by r.project_id, r.stream, r.started_at desc
        """,
        {"projects": list(project_ids), "kinds": _KINDS, "runs": _RUNS},
    )
    streams: dict[str, list[StreamRun]] = {}
    for row in await cursor.fetchall():
        streams.setdefault(row.pop("project_id"), []).append(StreamRun(**row))
    return {
        row["project_id"]: SyncState(
            row["success_at"], row["is_running"], tuple(streams.get(row["project_id"], ()))
        )
        for row in found
    }  # fmt: skip


async def order_counts(
    connection: Connection, project_ids: Sequence[str], hiding: Sequence[Hiding] = ()
) -> dict[str, OrderCounts] | None:
    """Counts of these projects, as marts.orders_current has them, without those that are hidden; None before the marts
    have been built."""
    shown, values = open_shown(hiding)
    query = _ORDERS.format(shown=shown)
    try:
        cursor = await connection.execute(query, {**values, "projects": list(project_ids)}, prepare=False)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    return {row.pop("project_id"): OrderCounts(**row) for row in await cursor.fetchall()}


async def open_alerts(connection: Connection, project_ids: Sequence[str]) -> dict[str, list[AlertCount]]:
    """Projects without one are left out."""
    cursor = await connection.execute(
        """
        select project_id, kind, count(*) as count, min(raised_at) as since,
            (array_agg(message order by raised_at desc))[1] as message
        from sync.alerts
        where project_id = any(%s) and resolved_at is null
        group by project_id, kind
        order by project_id, kind
        """,
        [list(project_ids)],
    )
    alerts: dict[str, list[AlertCount]] = {}
    for row in await cursor.fetchall():
        alerts.setdefault(row.pop("project_id"), []).append(AlertCount(**row))
    return alerts


async def waiting(connection: Connection, project_ids: Sequence[str]) -> dict[str, list[Waiting]]:
    """Open dead letters and conflicts; projects without any are left out."""
    cursor = await connection.execute(
        """
        select project_id, direction as kind, count(*) as count, min(first_failed_at) as since
        from sync.dead_letters
        where project_id = any(%(projects)s) and state in ('open', 'permanently_failed')
        group by project_id, direction
        union all
        select project_id, 'conflict', count(*), min(opened_at)
        from sync.conflicts
        where project_id = any(%(projects)s) and state = 'open'
        group by project_id
        order by project_id, kind
        """,
        {"projects": list(project_ids)},
    )
    found: dict[str, list[Waiting]] = {}
    for row in await cursor.fetchall():
        found.setdefault(row.pop("project_id"), []).append(Waiting(**row))
    return found


# Orders that were written since the last build are computed on the spot and count in place of what the build knew.
_ORDERS = sql.SQL(
    """
    with live as materialized (
        select project_id, is_closed, near_from, over_after from intermediate.int_orders__live as o
        where project_id = any(%(projects)s) and {shown}
    ),

    opened as (
        select project_id, count(*) as open
        from intermediate.int_orders__latest as o
        where project_id = any(%(projects)s) and not is_closed and {shown}
            and (project_id, order_id) not in (select project_id, order_id from sync.changed_orders)
        group by project_id
        union all
        select project_id, count(*) from live where not is_closed group by project_id
    ),

    stated as (
        select project_id, count(*) filter (where near_from > now() and over_after >= now()) as n_ok,
            count(*) filter (where near_from <= now() and over_after >= now()) as n_near,
            count(*) filter (where over_after < now()) as n_over
        from intermediate.int_orders__latest as o
        where project_id = any(%(projects)s) and over_after is not null and {shown}
            and (project_id, order_id) not in (select project_id, order_id from sync.changed_orders)
        group by project_id
        union all
        select project_id, count(*) filter (where near_from > now() and over_after >= now()),
            count(*) filter (where near_from <= now() and over_after >= now()),
            count(*) filter (where over_after < now())
        from live where over_after is not null group by project_id
    )

    select p.project_id,
        (select coalesce(sum(open), 0)::bigint from opened where opened.project_id = p.project_id) as open,
        s.ok, s.near, s.over
    from unnest(%(projects)s::text[]) as p (project_id)
    cross join lateral (
        select coalesce(sum(n_ok), 0)::bigint as ok, coalesce(sum(n_near), 0)::bigint as near,
            coalesce(sum(n_over), 0)::bigint as over
        from stated where stated.project_id = p.project_id
    ) as s
    """
)
