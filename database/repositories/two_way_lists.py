"""Rows of sync.outbox and sync.mappings as people page through them: the newest first, by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class OutboxLine:
    outbox_id: int
    project_id: str
    entity_type: str
    vms_entity_id: int
    crm_entity_id: str | None
    lane: str
    operation: str
    fields: list[str]
    changed_at: datetime
    state: str
    """waiting, sending, sent, skipped or failed"""
    attempts: int
    not_before: datetime
    is_put_off: bool
    """It waits for `not_before`, not for its turn."""
    may_have_been_sent: bool
    finished_at: datetime | None
    error_word: str | None
    message: str | None
    dead_letter_id: int | None
    """The open letter of what has failed."""


@dataclass(frozen=True, slots=True)
class MappingLine:
    mapping_id: int
    project_id: str
    entity_type: str
    vms_entity_id: int
    crm_entity_id: str | None
    sync_status: str
    error_message: str | None
    last_synced_at: datetime | None
    last_direction: str | None
    ignored: dict[str, str]
    """Field -> why the CRM cannot take it."""
    disputed: list[str]


async def outbox_page(
    connection: Connection,
    project_ids: Sequence[str],
    *,
    state: str | None = None,
    entity: str | None = None,
    vms_id: int | None = None,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int = 50,
) -> list[OutboxLine]:
    """The next rows before `before_id`, or those just after `after_id`; the newest first in either case.

    Project by project, so that each is a walk along the key of its rows.
    """
    ascending = after_id is not None
    cursor = await connection.execute(
        f"""
        select o.outbox_id, o.project_id, o.entity_type, o.vms_entity_id, m.crm_entity_id, o.lane, o.operation,
            o.fields, o.changed_at, o.state, o.attempts, o.not_before,
            (o.state = 'waiting' and o.not_before > clock_timestamp()) as is_put_off, o.may_have_been_sent,
            o.finished_at, o.error_word, o.message, d.dead_letter_id
        from unnest(%(projects)s::text[]) as p (project_id)
        cross join lateral (
            select * from sync.outbox as x
            where x.project_id = p.project_id
                and (%(before)s::bigint is null or x.outbox_id < %(before)s)
                and (%(after)s::bigint is null or x.outbox_id > %(after)s)
                {_STATE[state]}
                and (%(entity)s::text is null or x.entity_type = %(entity)s)
                and (%(vms)s::bigint is null or x.vms_entity_id = %(vms)s)
            order by x.outbox_id {"asc" if ascending else "desc"}
            limit %(limit)s
        ) as o
        left join sync.mappings as m
            on m.project_id = o.project_id and m.entity_type = o.entity_type and m.vms_entity_id = o.vms_entity_id
        left join lateral (
            select dead_letter_id from sync.dead_letters as l
            where o.state = 'failed' and l.project_id = o.project_id and l.direction = 'outbound'
                and l.source = 'outbox' and coalesce(l.raw_id, 0) = o.vms_entity_id
                and coalesce(l.stream, '') = o.entity_type and l.state in ('open', 'permanently_failed')
            limit 1
        ) as d on true
        order by o.outbox_id {"asc" if ascending else "desc"}
        limit %(limit)s
        """,  # noqa: S608
        {
            "projects": list(project_ids), "entity": entity, "vms": vms_id, "before": before_id, "after": after_id,
            "limit": limit,
        },
    )  # fmt: skip
    rows = [OutboxLine(**row) for row in await cursor.fetchall()]
    return rows[::-1] if ascending else rows


_STATE: dict[str | None, str] = {
    None: "",
    "waiting": "and x.state = 'waiting'",
    "sending": "and x.state = 'sending' and x.state in ('waiting', 'sending')",
    "sent": "and x.state = 'sent'",
    "skipped": "and x.state = 'skipped' and x.state in ('skipped', 'failed')",
    "failed": "and x.state = 'failed' and x.state in ('skipped', 'failed')",
}
"""Spelt out, so that the planner sees which partial index holds the rows."""
OUTBOX_STATES: tuple[str, ...] = ("waiting", "sending", "failed", "skipped", "sent")


async def mapping_page(
    connection: Connection,
    project_ids: Sequence[str],
    *,
    status: str | None = None,
    entity: str | None = None,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int = 50,
) -> list[MappingLine]:
    """As `outbox_page`. `status`: synced, pending or error."""
    ascending = after_id is not None
    cursor = await connection.execute(
        f"""
        select m.mapping_id, m.project_id, m.entity_type, m.vms_entity_id, m.crm_entity_id, m.sync_status,
            m.error_message, m.last_synced_at, m.last_direction, m.ignored, m.disputed
        from unnest(%(projects)s::text[]) as p (project_id)
        cross join lateral (
            select * from sync.mappings as x
            where x.project_id = p.project_id
                and (%(before)s::bigint is null or x.mapping_id < %(before)s)
                and (%(after)s::bigint is null or x.mapping_id > %(after)s)
                {_STATUS[status]}
                and (%(entity)s::text is null or x.entity_type = %(entity)s)
            order by x.mapping_id {"asc" if ascending else "desc"}
            limit %(limit)s
        ) as m
        order by m.mapping_id {"asc" if ascending else "desc"}
        limit %(limit)s
        """,  # noqa: S608
        {"projects": list(project_ids), "entity": entity, "before": before_id, "after": after_id, "limit": limit},
    )
    rows: list[Any] = [MappingLine(**row) for row in await cursor.fetchall()]
    return rows[::-1] if ascending else rows


_STATUS: dict[str | None, str] = {
    None: "",
    "synced": "and x.sync_status = 'synced'",
    "pending": "and x.sync_status = 'pending' and x.sync_status <> 'synced'",
    "error": "and x.sync_status = 'error' and x.sync_status <> 'synced'",
}
MAPPING_STATES: tuple[str, ...] = ("error", "pending", "synced")
