"""sync.inbound_queue: objects of core that changed and are not in vms yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from database.connection import Connection

Entity = Literal["customer", "article", "order"]
ENTITIES: tuple[Entity, ...] = ("customer", "article", "order")
"""In the order in which they need each other."""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An object of the CRM."""

    entity: Entity
    crm_id: str


@dataclass(frozen=True, slots=True)
class Backlog:
    count: int
    oldest_seconds: float
    """Age of the oldest entry; 0 if there is none."""


def lock_name(project_id: str) -> str:
    """Who applies a project's changes to vms holds this lock."""
    return f"inbound.{project_id}"


async def enqueue(connection: Connection, project_id: str, ids: Mapping[Entity, Collection[str]]) -> None:
    """Queue objects: what they need (customers, articles) before the orders."""
    rows = [(entity, crm_id) for entity in ENTITIES for crm_id in sorted(ids.get(entity, ()))]
    if rows:
        await connection.execute(
            """
            insert into sync.inbound_queue (project_id, entity_type, crm_entity_id)
            select %s, r.entity, r.id
            from unnest(%s::text[], %s::text[]) with ordinality as r (entity, id, position) order by r.position
            """,
            [project_id, [row[0] for row in rows], [row[1] for row in rows]],
        )


async def due_projects(connection: Connection) -> list[str]:
    """Projects with entries that may be taken now. Steps from project to project by the index, whatever the backlog."""
    cursor = await connection.execute(
        """
        with recursive waiting as (
            (select project_id from sync.inbound_queue order by project_id limit 1)
            union all
            select next.project_id
            from waiting, lateral (
                select project_id from sync.inbound_queue
                where project_id > waiting.project_id order by project_id limit 1
            ) as next
        )
        select project_id
        from waiting
        where exists (
            select from sync.inbound_queue as q
            where q.project_id = waiting.project_id and q.not_before <= clock_timestamp()
        )
        """
    )
    return [row["project_id"] for row in await cursor.fetchall()]


async def take(connection: Connection, project_id: str, limit: int) -> list[Ref]:
    """Take the objects of the project's oldest entries out of the queue, with all entries that they have.

    The caller has to read core in later statements: what an entry tells of is committed, and seen by these.
    """
    cursor = await connection.execute(
        """
        with head as materialized (
            select entity_type, crm_entity_id
            from sync.inbound_queue
            where project_id = %(project)s and not_before <= clock_timestamp()
            order by queue_id
            limit %(limit)s
        )
        delete from sync.inbound_queue as q
        using (select distinct entity_type, crm_entity_id from head) as h
        where q.project_id = %(project)s and q.entity_type = h.entity_type and q.crm_entity_id = h.crm_entity_id
        returning q.queue_id, q.entity_type, q.crm_entity_id
        """,
        {"project": project_id, "limit": limit},
    )
    rows = sorted(await cursor.fetchall(), key=lambda row: row["queue_id"])
    return list(dict.fromkeys(Ref(row["entity_type"], row["crm_entity_id"]) for row in rows))


async def put_back(connection: Connection, project_id: str, refs: Collection[Ref], seconds: float) -> None:
    """Let these objects be taken again after a while."""
    if refs:
        await connection.execute(
            """
            insert into sync.inbound_queue (project_id, entity_type, crm_entity_id, not_before)
            select %s, r.entity, r.id, clock_timestamp() + %s * interval '1 second'
            from unnest(%s::text[], %s::text[]) as r (entity, id)
            """,
            [project_id, seconds, [ref.entity for ref in refs], [ref.crm_id for ref in refs]],
        )


async def lanes_being_sent(connection: Connection, project_id: str, lanes: Sequence[str]) -> set[str]:
    """Those of these lanes of the outbox whose changes are on their way to the CRM just now."""
    cursor = await connection.execute(
        """
        select distinct lane from sync.outbox where project_id = %s and lane = any(%s) and state = 'sending'
        """,
        [project_id, list(lanes)],
    )
    return {row["lane"] for row in await cursor.fetchall()}


async def is_creating(connection: Connection, project_id: str, entity: Entity) -> bool:
    """Whether an object may have been made at the CRM, just now, whose id there nobody has heard yet."""
    cursor = await connection.execute(
        """
        select exists (
            select from sync.outbox as o
            left join sync.mappings as m on m.project_id = o.project_id and m.entity_type = o.entity_type
                and m.vms_entity_id = o.vms_entity_id
            where o.project_id = %s and o.entity_type = %s and m.crm_entity_id is null
                and (o.state = 'sending' or o.state = 'waiting' and o.may_have_been_sent)
        ) as flag
        """,
        [project_id, entity],
    )
    row = await cursor.fetchone()
    return bool(row and row["flag"])


async def backlog(connection: Connection, project_id: str | None = None) -> Backlog:
    """How much waits for vms, of one project or of all."""
    cursor = await connection.execute(
        """
        select count(*) as count,
            coalesce(extract(epoch from clock_timestamp() - min(enqueued_at)), 0)::float8 as oldest_seconds
        from sync.inbound_queue
        where project_id = %(project)s or %(project)s::text is null
        """,
        {"project": project_id},
    )
    row = await cursor.fetchone()
    assert row is not None
    return Backlog(**row)
