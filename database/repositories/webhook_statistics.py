"""sync.webhook_statistics and sync.webhook_refusals: how many webhooks came, and of what kind; and the last of them.

Days are summed up to a mark by `roll_up`; what came after it is counted when somebody asks, so that the numbers are of
this moment and asking reads a minute's webhooks, not a year's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec

from database.connection import Connection

SETTLED_SECONDS = 60
"""Rows younger than that may have neighbours that are not committed yet: they are not summed up."""
_MOST = 20_000
"""Webhooks that are counted at once."""

_COUNTED = """
    with marks as materialized (
        select coalesce(max(event_id), 0) as event_id, coalesce(max(status_event_id), 0) as status_event_id
        from sync.webhook_marks where project_id = %(project)s
    ),
    came as materialized (
        select w.event_id, w.crm, w.content_hash, w.received_at
        from raw.webhook_events as w
        where w.project_id = %(project)s and w.event_id > (select event_id from marks)
            and w.received_at < clock_timestamp() - %(settled)s * interval '1 second'
        order by w.event_id
        limit %(most)s
    ),
    told as materialized (
        select e.event_id, e.order_id, e.status_changed_at, e.source, e.ingested_at
        from core.order_status_events as e
        where e.project_id = %(project)s and e.event_id > (select status_event_id from marks)
            and e.ingested_at < clock_timestamp() - %(settled)s * interval '1 second'
        order by e.event_id
        limit %(most)s
    ),
    counted as (
        select
            (came.received_at at time zone 'UTC')::date as day, 1 as received, 0 as late,
            exists (
                select from raw.webhook_events as w
                where w.project_id = %(project)s and w.content_hash = came.content_hash and w.event_id < came.event_id
            )::integer as duplicates
        from came
        where came.crm <> 'vms'
        union all
        select
            (told.ingested_at at time zone 'UTC')::date, 0,
            exists (
                select from core.order_status_events as e
                where e.project_id = %(project)s and e.order_id = told.order_id
                    and e.status_changed_at > told.status_changed_at and e.event_id < told.event_id
            )::integer,
            0
        from told
        where told.source = 'webhook'
    ),
    by_day as (
        select day, sum(received) as received, sum(duplicates) as duplicates, sum(late) as late
        from counted group by day
    )
"""


@dataclass(frozen=True, slots=True)
class WebhookDay:
    day: date
    received: int
    duplicates: int
    late: int
    refused: int


@dataclass(frozen=True, slots=True)
class WebhookStatistics:
    received: int
    duplicates: int
    late: int
    refused: int
    last_received_at: datetime | None
    last_refused_at: datetime | None
    refused_by_code: Mapping[str, int]
    days: tuple[WebhookDay, ...]
    """The last 30 days that had any, oldest first; UTC."""


@dataclass(frozen=True, slots=True)
class Payload:
    event_id: int
    crm: str
    event_name: str | None
    received_at: datetime
    content_type: str | None
    body: str


async def roll_up(connection: Connection, project_id: str) -> bool:
    """Sum up webhooks that came since the last time; whether there may be more. Needs no transaction."""
    async with connection.transaction():
        await connection.execute(
            "insert into sync.webhook_marks (project_id) values (%s) on conflict do nothing", [project_id]
        )
        cursor = await connection.execute(
            "select 1 from sync.webhook_marks where project_id = %s for update skip locked", [project_id]
        )
        if await cursor.fetchone() is None:
            return False  # somebody else is at it
        cursor = await connection.execute(
            f"""
            {_COUNTED},
            summed as (
                insert into sync.webhook_statistics as stored (project_id, day, received, duplicates, late)
                select %(project)s, day, received, duplicates, late from by_day
                on conflict (project_id, day) do update set
                    received = stored.received + excluded.received,
                    duplicates = stored.duplicates + excluded.duplicates,
                    late = stored.late + excluded.late
            ),
            marked as (
                update sync.webhook_marks set
                    event_id = coalesce((select max(event_id) from came), event_id),
                    status_event_id = coalesce((select max(event_id) from told), status_event_id)
                where project_id = %(project)s
            )
            select (select count(*) from came) as came, (select count(*) from told) as told
            """,  # noqa: S608
            {"project": project_id, "settled": SETTLED_SECONDS, "most": _MOST},
        )
        row = await cursor.fetchone()
        assert row is not None
        return bool(max(row["came"], row["told"]) == _MOST)


async def roll_up_all(connection: Connection) -> None:
    """The same for every project, to the end."""
    cursor = await connection.execute("select project_id from config.projects order by project_id")
    for row in await cursor.fetchall():
        while await roll_up(connection, row["project_id"]):
            continue


async def read(connection: Connection, project_id: str) -> WebhookStatistics:
    """A project's webhooks, those of this second included."""
    cursor = await connection.execute(
        f"""
        {_COUNTED},
        all_days as (
            select day, received, duplicates, late, 0 as refused from by_day
            union all
            select day, received, duplicates, late, 0 from sync.webhook_statistics where project_id = %(project)s
            union all
            select day, 0, 0, 0, refused from sync.webhook_refusals where project_id = %(project)s
        )
        select
            day, sum(received)::bigint as received, sum(duplicates)::bigint as duplicates, sum(late)::bigint as late,
            sum(refused)::bigint as refused
        from all_days group by day order by day
        """,  # noqa: S608
        {"project": project_id, "settled": -SETTLED_SECONDS, "most": _MOST},
    )
    days = [WebhookDay(**row) for row in await cursor.fetchall()]
    cursor = await connection.execute(
        """
        select code, sum(refused)::bigint as refused, max(last_at) as last_at
        from sync.webhook_refusals where project_id = %s group by code order by code
        """,
        [project_id],
    )
    codes = await cursor.fetchall()
    cursor = await connection.execute(
        """
        select received_at from raw.webhook_events
        where project_id = %s and crm <> 'vms' order by event_id desc limit 1
        """,
        [project_id],
    )
    last = await cursor.fetchone()
    return WebhookStatistics(
        received=sum(day.received for day in days),
        duplicates=sum(day.duplicates for day in days),
        late=sum(day.late for day in days),
        refused=sum(day.refused for day in days),
        last_received_at=None if last is None else last["received_at"],
        last_refused_at=max((row["last_at"] for row in codes), default=None),
        refused_by_code={row["code"]: row["refused"] for row in codes},
        days=tuple(days[-30:]),
    )


async def newest_payloads(
    connection: Connection, project_id: str, *, before_id: int | None = None, limit: int = 20
) -> list[Payload]:
    """The last webhooks as they came, newest first: personal data, to be masked."""
    cursor = await connection.execute(
        """
        select event_id, crm, event_name, received_at, content_type, body
        from raw.webhook_events
        where project_id = %(project)s and (%(before)s::bigint is null or event_id < %(before)s)
        order by event_id desc
        limit %(limit)s
        """,
        {"project": project_id, "before": before_id, "limit": limit},
    )
    return [Payload(**row) for row in await cursor.fetchall()]


async def add_refusals(connection: Connection, counts: Mapping[tuple[str, str], int]) -> None:
    """Refusals since the last call, by (project, code)."""
    rows: list[dict[str, Any]] = [
        {"project_id": project_id, "code": code, "refused": count}
        for (project_id, code), count in sorted(counts.items())
    ]
    await connection.execute(
        """
        insert into sync.webhook_refusals as stored (project_id, day, code, refused, last_at)
        select r.project_id, (clock_timestamp() at time zone 'UTC')::date, r.code, r.refused, clock_timestamp()
        from json_to_recordset(%s::json) as r (project_id text, code text, refused bigint)
        order by r.project_id, r.code
        on conflict (project_id, day, code) do update
            set refused = stored.refused + excluded.refused, last_at = excluded.last_at
        """,
        [msgspec.json.encode(rows).decode()],
    )
