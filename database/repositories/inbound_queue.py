"""sync.inbound_queue: objects of core that changed and are not in vms yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from database.connection import Connection

Entity = Literal["customer", "article", "order"]
ENTITIES: tuple[Entity, ...] = ("customer", "article", "order")
"""In the order in which they need each other."""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An object of the CRM."""

    entity: Entity
    crm_id: str


News = Mapping[str, Any]
"""A change of core that is told once its object has been looked at: kind, entity_id, payload, vms_id of a NewEvent."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an object is to wait in the queue."""

    reason: str
    waits_for: tuple[str, ...] = ()
    """Keys of what it needs, `article:SKU` or `customer:ID`: `release` lets go of it once that is there."""


@dataclass(slots=True)
class Taken:
    refs: dict[Ref, None] = field(default_factory=dict)
    """Each once, the oldest first."""
    news: dict[Ref, dict[tuple[str, str], News]] = field(default_factory=dict)
    """By kind and id; the newest of each."""
    holds: dict[Ref, int] = field(default_factory=dict)
    """How often it has been held back; those that never were are missing."""

    def keep(self, refs: Collection[Ref]) -> None:
        """Of all that was taken these alone: the others are in the queue again."""
        for ref in [ref for ref in self.refs if ref not in refs]:
            del self.refs[ref]
            self.news.pop(ref, None)
            self.holds.pop(ref, None)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in sorted(rows, key=lambda row: row["queue_id"]):
            ref = Ref(row["entity_type"], row["crm_entity_id"])
            self.refs.setdefault(ref)
            if row["attempts"]:
                self.holds[ref] = max(self.holds.get(ref, 0), row["attempts"])
            for news in row["news"]:
                self.news.setdefault(ref, {})[news["kind"], news["entity_id"]] = news


@dataclass(frozen=True, slots=True)
class Backlog:
    count: int
    oldest_seconds: float
    """Age of the oldest entry; 0 if there is none."""


def lock_name(project_id: str) -> str:
    """Who applies a project's changes to vms holds this lock."""
    return f"inbound.{project_id}"


async def enqueue(
    connection: Connection,
    project_id: str,
    ids: Mapping[Entity, Collection[str]],
    news: Mapping[Ref, Sequence[News]] | None = None,
) -> None:
    """Queue objects: what they need (customers, articles) before the orders. `news`: what is told of them then."""
    refs = [Ref(entity, crm_id) for entity in ENTITIES for crm_id in sorted(ids.get(entity, ()))]
    if not refs:
        return
    await connection.execute(
        """
        insert into sync.inbound_queue (project_id, entity_type, crm_entity_id, news)
        select %s, r.entity, r.id, r.news
        from unnest(%s::text[], %s::text[], %s::jsonb[]) with ordinality as r (entity, id, news, position)
        order by r.position
        """,
        [
            project_id, [ref.entity for ref in refs], [ref.crm_id for ref in refs],
            [_json((news or {}).get(ref, ())) for ref in refs],
        ],
    )  # fmt: skip


async def waiting_orders(connection: Connection, project_id: str, order_ids: Collection[str]) -> set[str]:
    """Those of the orders that are in the queue, or taken out of it just now."""
    if not order_ids:
        return set()
    cursor = await connection.execute(
        """
        select distinct crm_entity_id from sync.inbound_queue
        where project_id = %s and entity_type = 'order' and crm_entity_id = any(%s)
        """,
        [project_id, list(order_ids)],
    )
    return {row["crm_entity_id"] for row in await cursor.fetchall()}


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


async def take(connection: Connection, project_id: str, limit: int) -> Taken:
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
        returning q.queue_id, q.entity_type, q.crm_entity_id, q.attempts, q.news
        """,
        {"project": project_id, "limit": limit},
    )
    taken = Taken()
    taken.add(await cursor.fetchall())
    return taken


async def take_too(connection: Connection, project_id: str, taken: Taken, refs: Collection[Ref]) -> None:
    """Take these objects as well, if they are in the queue: others need them now."""
    if not refs:
        return
    cursor = await connection.execute(
        """
        delete from sync.inbound_queue as q
        using unnest(%s::text[], %s::text[]) as r (entity, id)
        where q.project_id = %s and q.entity_type = r.entity and q.crm_entity_id = r.id
        returning q.queue_id, q.entity_type, q.crm_entity_id, q.attempts, q.news
        """,
        [[ref.entity for ref in refs], [ref.crm_id for ref in refs], project_id],
    )
    taken.add(await cursor.fetchall())


async def put_back(
    connection: Connection, project_id: str, taken: Taken, refs: Collection[Ref], seconds: float
) -> None:
    """Let these objects, with what is to be told of them, be taken again after a while."""
    await _return(connection, project_id, taken, dict.fromkeys(refs), dict.fromkeys(refs, seconds))


async def hold(
    connection: Connection, project_id: str, taken: Taken, holds: Mapping[Ref, Hold], seconds: Mapping[Ref, float]
) -> None:
    """Let these objects wait for what they need, or so long."""
    await _return(connection, project_id, taken, holds, seconds)


async def _return(
    connection: Connection,
    project_id: str,
    taken: Taken,
    refs: Mapping[Ref, Hold | None],
    seconds: Mapping[Ref, float],
) -> None:
    if not refs:
        return
    rows = [
        {
            "entity": ref.entity,
            "id": ref.crm_id,
            "seconds": seconds[ref],
            "attempts": taken.holds.get(ref, 0) + (0 if held is None else 1),
            "reason": None if held is None else held.reason,
            "waits_for": None if held is None else held.waits_for,
            "news": list(taken.news.get(ref, {}).values()),
        }
        for ref, held in refs.items()
    ]
    await connection.execute(
        """
        insert into sync.inbound_queue (
            project_id, entity_type, crm_entity_id, attempts, not_before, reason, waits_for, news
        )
        select %s, r.entity, r.id, r.attempts, clock_timestamp() + r.seconds * interval '1 second', r.reason,
            r.waits_for, r.news
        from jsonb_to_recordset(%s::jsonb) as r (
            entity text, id text, seconds float8, attempts integer, reason text, waits_for text[], news jsonb
        )
        """,
        [project_id, _json(rows)],
    )


async def release(connection: Connection, project_id: str, keys: Collection[str]) -> None:
    """What waits for any of these is due now."""
    if keys:
        await connection.execute(
            """
            update sync.inbound_queue set not_before = clock_timestamp()
            where project_id = %s and waits_for && %s::text[] and not_before > clock_timestamp()
            """,
            [project_id, list(keys)],
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


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
