"""sync.outbox: changes in vms that wait to be sent, lane by lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from database.connection import Connection
from database.repositories import locks
from database.repositories.words import ErrorWord

HEAD_ROWS = 2000
"""Of a project's oldest rows that are due, so many are looked at for lanes that may be sent."""
SETTLE_SECONDS = 2.0
"""What a dead process was sending is tried again after so long: its request may be under way at the CRM still."""
ORDERLESS_SECONDS = 30.0
"""How often a payment is looked at whose order is not at the CRM; it is woken as soon as the order is."""

Operation = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class OutboxRow:
    outbox_id: int
    entity_type: str
    vms_entity_id: int
    lane: str
    operation: Operation
    fields: list[str]
    changed_at: datetime
    attempts: int
    """With the one that begins."""
    may_have_been_sent: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """What may be sent now, in order of its oldest row."""

    lane: str
    kind: str
    """order (with its payments), customer or article"""


@dataclass(frozen=True, slots=True)
class DueProject:
    project_id: str
    is_away: bool
    """The CRM did not answer when somebody last asked."""


def presence_name(instance: str) -> str:
    """The lock that a sender holds as long as it lives; see `locks`."""
    return f"outbox.{instance}"


async def due_projects(connection: Connection, project_ids: Sequence[str] | None = None) -> list[DueProject]:
    """Enabled projects, of these or of all, with rows that may be sent now. Steps along the index, whatever waits."""
    cursor = await connection.execute(
        """
        with recursive waiting as (
            (select project_id from sync.outbox where state = 'waiting' order by project_id limit 1)
            union all
            select next.project_id
            from waiting, lateral (
                select project_id from sync.outbox
                where state = 'waiting' and project_id > waiting.project_id
                order by project_id limit 1
            ) as next
        )
        select w.project_id, exists (
            select from sync.alerts as a
            where a.project_id = w.project_id and a.kind = 'crm_away' and a.resolved_at is null
        ) as is_away
        from waiting as w
        join config.projects as p on p.project_id = w.project_id and p.is_enabled
        where (%(projects)s::text[] is null or w.project_id = any(%(projects)s))
            and exists (
                select from sync.outbox as o
                where o.project_id = w.project_id and o.state = 'waiting' and o.not_before <= clock_timestamp()
            )
        """,
        {"projects": None if project_ids is None else list(project_ids)},
    )
    return [DueProject(**row) for row in await cursor.fetchall()]


async def due_lanes(connection: Connection, project_id: str, limit: int) -> list[Lane]:
    """The oldest lanes that may be sent, locked against other senders of the project until the transaction ends.

    Left out: lanes of which something is being sent, or is to be tried again later; an order of which the customer, or
    an article that the CRM does not have yet, waits itself.
    """
    await locks.wait_transaction(connection, f"outbox.claim.{project_id}")
    # Lanes are sorted first and looked at one by one, until there are enough: `is null` instead of `not exists` keeps
    # PostgreSQL from joining all there is.
    cursor = await connection.execute(
        """
        with head as materialized (
            select lane, outbox_id
            from sync.outbox
            where project_id = %(project)s and state = 'waiting' and not_before <= clock_timestamp()
            order by outbox_id
            limit %(rows)s
        ),
        lanes as materialized (
            select lane, min(outbox_id) as first_id, split_part(lane, ':', 1) as kind,
                split_part(lane, ':', 2)::bigint as id
            from head group by lane order by first_id
        )
        select l.lane, l.kind
        from lanes as l
        where exists (select from config.projects as p where p.project_id = %(project)s and p.is_enabled)
            and (
                select true from sync.outbox as o
                where o.project_id = %(project)s and o.lane = l.lane and (
                    o.state = 'sending'
                    or o.state = 'waiting' and (o.attempts > 0 or o.may_have_been_sent)
                        and o.not_before > clock_timestamp()
                )
                limit 1
            ) is null
            and (l.kind <> 'order' or (
                select true from vms.orders as w
                where w.project_id = %(project)s and w.id = l.id and (
                    (
                        select true from sync.outbox as d
                        where d.project_id = %(project)s and d.lane = 'customer:' || w.customer_id
                            and d.state in ('waiting', 'sending')
                        limit 1
                    )
                    or (
                        select true from vms.order_items as i
                        join sync.outbox as d on d.project_id = %(project)s and d.lane = 'article:' || i.article_id
                            and d.state in ('waiting', 'sending')
                        where i.project_id = %(project)s and i.order_id = w.id and not exists (
                            select from sync.mappings as m
                            where m.project_id = %(project)s and m.entity_type = 'article'
                                and m.vms_entity_id = i.article_id and m.crm_entity_id is not null
                        )
                        limit 1
                    )
                )
                limit 1
            ) is null)
        order by l.first_id
        limit %(limit)s
        """,
        {"project": project_id, "rows": HEAD_ROWS, "limit": limit},
    )
    return [Lane(**row) for row in await cursor.fetchall()]


async def claim(connection: Connection, project_id: str, lanes: Sequence[str], instance: str) -> list[OutboxRow]:
    """All that waits in these lanes is being sent by this instance from now on; oldest first."""
    cursor = await connection.execute(
        """
        update sync.outbox
        set state = 'sending', claimed_by = %s, claimed_at = clock_timestamp(), attempts = attempts + 1
        where project_id = %s and lane = any(%s) and state = 'waiting'
        returning outbox_id, entity_type, vms_entity_id, lane, operation, fields, changed_at, attempts,
            may_have_been_sent
        """,
        [instance, project_id, list(lanes)],
    )
    rows = [OutboxRow(**row) for row in await cursor.fetchall()]
    return sorted(rows, key=lambda row: row.outbox_id)


async def take_over(connection: Connection) -> int:
    """Give what dead processes were sending back to the queue, to be looked up before it is sent again; how many rows.

    Dead is whose lock (`presence_name`) nobody holds: the server frees it when the connection ends.
    """
    cursor = await connection.execute(
        """
        with senders as materialized (
            select distinct claimed_by from sync.outbox where state = 'sending'
        ),
        dead as materialized (
            select claimed_by from senders
            where pg_try_advisory_xact_lock(hashtextextended(%s || claimed_by, 0))
        )
        update sync.outbox as o
        set state = 'waiting', claimed_by = null, claimed_at = null, may_have_been_sent = true,
            attempts = greatest(o.attempts - 1, 0), not_before = clock_timestamp() + %s * interval '1 second'
        from dead
        where o.state = 'sending' and o.claimed_by = dead.claimed_by
        """,
        [locks.PREFIX + presence_name(""), SETTLE_SECONDS],
    )
    return cursor.rowcount


async def finish(
    connection: Connection,
    project_id: str,
    ids: Sequence[int],
    state: Literal["sent", "skipped", "failed"],
    *,
    word: ErrorWord | None = None,
    message: str | None = None,
    may_have_been_sent: bool = False,
) -> None:
    """These rows are done with, and why."""
    await connection.execute(
        """
        update sync.outbox
        set state = %s, finished_at = clock_timestamp(), claimed_by = null, error_word = %s, message = %s,
            may_have_been_sent = may_have_been_sent or %s
        where project_id = %s and outbox_id = any(%s) and state = 'sending'
        """,
        [state, word, message, may_have_been_sent, project_id, list(ids)],
    )


async def give_back(
    connection: Connection,
    project_id: str,
    ids: Sequence[int],
    *,
    seconds: float = 0.0,
    counts: bool = False,
    may_have_been_sent: bool = False,
    word: ErrorWord | None = None,
    message: str | None = None,
) -> None:
    """These rows wait again, for so long. `counts`: what was tried counts as an attempt."""
    await connection.execute(
        """
        update sync.outbox
        set state = 'waiting', claimed_by = null, claimed_at = null, error_word = %(word)s, message = %(message)s,
            not_before = clock_timestamp() + %(seconds)s * interval '1 second',
            attempts = case when %(counts)s then attempts else greatest(attempts - 1, 0) end,
            may_have_been_sent = may_have_been_sent or %(sent)s
        where project_id = %(project)s and outbox_id = any(%(ids)s) and state = 'sending'
        """,
        {
            "project": project_id, "ids": list(ids), "seconds": seconds, "counts": counts, "sent": may_have_been_sent,
            "word": word, "message": message,
        },
    )  # fmt: skip


async def wake_lanes(connection: Connection, project_id: str, lanes: Sequence[str]) -> None:
    """What waits in these lanes without having been tried is due now: payments whose order has come to the CRM."""
    await connection.execute(
        """
        update sync.outbox set not_before = clock_timestamp()
        where project_id = %s and lane = any(%s) and state = 'waiting' and attempts = 0
            and not_before > clock_timestamp()
        """,
        [project_id, list(lanes)],
    )


async def changed_at(
    connection: Connection, project_id: str, entity: str, lanes: Mapping[int, str]
) -> dict[int, dict[str, datetime]]:
    """When each field last changed, of those whose change is not sent yet. `lanes`: vms id -> lane."""
    cursor = await connection.execute(
        """
        select o.vms_entity_id, f.field, max(o.changed_at) as changed_at
        from sync.outbox as o, unnest(o.fields) as f (field)
        where o.project_id = %s and o.entity_type = %s and o.lane = any(%s) and o.vms_entity_id = any(%s)
            and o.state in ('waiting', 'sending')
        group by o.vms_entity_id, f.field
        """,
        [project_id, entity, list(set(lanes.values())), list(lanes)],
    )
    found: dict[int, dict[str, datetime]] = {}
    for row in await cursor.fetchall():
        found.setdefault(row["vms_entity_id"], {})[row["field"]] = row["changed_at"]
    return found


async def enqueue_earlier_orders(connection: Connection, project_id: str, customer_ids: Sequence[int]) -> int:
    """Orders of these customers of vms that the CRM does not have, and their payments, unless they wait already or have
    failed; how many rows."""
    cursor = await connection.execute(
        """
        with lacking as (
            select w.id
            from vms.orders as w
            left join sync.mappings as m
                on m.project_id = w.project_id and m.entity_type = 'order' and m.vms_entity_id = w.id
            where w.project_id = %(project)s and w.customer_id = any(%(customers)s) and m.crm_entity_id is null
                and m.sync_status is distinct from 'error'
                and not exists (
                    select from sync.outbox as o
                    where o.project_id = %(project)s and o.lane = 'order:' || w.id and o.entity_type = 'order'
                        and o.state in ('waiting', 'sending')
                )
        )
        insert into sync.outbox (project_id, entity_type, vms_entity_id, lane, operation)
        select %(project)s, entity, id, lane, 'create'
        from (
            select 'order' as entity, id, 'order:' || id as lane from lacking
            union all
            select 'payment', p.id, 'order:' || l.id
            from lacking as l join vms.payments as p on p.project_id = %(project)s and p.order_id = l.id
        ) as r
        order by entity, id
        """,
        {"project": project_id, "customers": list(customer_ids)},
    )
    return cursor.rowcount


async def retry(connection: Connection, project_id: str, entity: str, vms_id: int) -> None:
    """Send an object again that has failed: its rows wait anew, as if they had never been tried."""
    cursor = await connection.execute(
        """
        update sync.outbox
        set state = 'waiting', attempts = 0, not_before = clock_timestamp(), finished_at = null, error_word = null,
            message = null
        where project_id = %s and entity_type = %s and vms_entity_id = %s and state = 'failed'
        """,
        [project_id, entity, vms_id],
    )
    if cursor.rowcount:
        await connection.execute("select pg_notify('crm_elt_outbox', '')")
        return
    await connection.execute(  # they have been cleaned up: what is sent is the object as it is now in any case
        """
        insert into sync.outbox (project_id, entity_type, vms_entity_id, lane, operation)
        select %(project)s, %(entity)s, %(id)s, %(entity)s || ':' || %(id)s::bigint, 'update'
        where %(entity)s <> 'payment'
        union all
        select %(project)s, 'payment', p.id, 'order:' || p.order_id, 'update'
        from vms.payments as p where %(entity)s = 'payment' and p.project_id = %(project)s and p.id = %(id)s
        """,
        {"project": project_id, "entity": entity, "id": vms_id},
    )


async def is_under_way(connection: Connection, objects: Sequence[tuple[str, str, int]]) -> bool:
    """Whether any of these objects (project, kind, id) is being sent just now, by anybody."""
    cursor = await connection.execute(
        """
        select exists (
            select from sync.outbox as o
            join unnest(%s::text[], %s::text[], %s::bigint[]) as i (project_id, entity_type, vms_entity_id)
                using (project_id, entity_type, vms_entity_id)
            where o.state = 'sending'
        ) as flag
        """,
        [[item[0] for item in objects], [item[1] for item in objects], [item[2] for item in objects]],
    )
    row = await cursor.fetchone()
    assert row is not None
    return bool(row["flag"])


async def purge(connection: Connection, days: float, limit: int) -> int:
    """Forget at most so many of the oldest changes that were done with longer ago; how many. What failed stays."""
    cursor = await connection.execute(
        """
        with old as (
            select project_id, outbox_id
            from sync.outbox
            where state in ('sent', 'skipped') and finished_at < clock_timestamp() - %s * interval '1 day'
            order by finished_at
            limit %s
            for update skip locked
        )
        delete from sync.outbox as o using old where o.project_id = old.project_id and o.outbox_id = old.outbox_id
        """,
        [days, limit],
    )
    return cursor.rowcount
