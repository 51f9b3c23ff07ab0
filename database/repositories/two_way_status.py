"""How far the two-way sync of a project is: queues, mappings, errors, conflicts, by kind of object."""

from __future__ import annotations

from typing import Any

from database.connection import Connection

_CORE = {
    "order": "select from core.orders where project_id = %(project)s and order_id = %(id)s",
    "customer": "select from core.customers where project_id = %(project)s and customer_id = %(id)s",
    "article": "select from core.offers where project_id = %(project)s and offer_id = %(id)s",
}
_VMS = {"order": "vms.orders", "customer": "vms.customers", "article": "vms.articles"}


async def entities(connection: Connection, project_id: str) -> list[dict[str, Any]]:
    """A row for each kind of object, those first that others need."""
    cursor = await connection.execute(
        """
        with outbox as (
            select entity_type, count(*) filter (where state = 'waiting') as waiting,
                count(*) filter (where state = 'sending') as sending,
                extract(epoch from clock_timestamp() - min(changed_at))::float8 as seconds
            from sync.outbox
            where project_id = %(project)s and state in ('waiting', 'sending')
            group by entity_type
        ),
        inbound as (
            select entity_type, count(*) as waiting, count(*) filter (where reason is not null) as held,
                (array_agg(reason order by queue_id) filter (where reason is not null))[1] as reason,
                extract(epoch from clock_timestamp() - min(enqueued_at))::float8 as seconds
            from sync.inbound_queue where project_id = %(project)s
            group by entity_type
        ),
        linked as (
            select entity_type, count(*) filter (where crm_entity_id is not null) as linked,
                count(*) filter (where sync_status = 'pending') as pending,
                count(*) filter (where sync_status = 'error') as errors,
                max(last_synced_at) filter (where last_direction = 'outbound') as last_outbound_at,
                max(last_synced_at) filter (where last_direction = 'inbound') as last_inbound_at
            from sync.mappings where project_id = %(project)s
            group by entity_type
        ),
        newest as (
            select distinct on (entity_type) entity_type, error_message
            from sync.mappings
            where project_id = %(project)s and sync_status = 'error'
            order by entity_type, updated_at desc
        ),
        disputed as (
            select entity_type, count(*) as conflicts
            from sync.conflicts where project_id = %(project)s and state = 'open'
            group by entity_type
        )
        select e.entity, coalesce(o.waiting, 0) as outbox_waiting, coalesce(o.sending, 0) as outbox_sending,
            o.seconds as outbox_oldest_seconds, coalesce(i.waiting, 0) as inbound_waiting,
            i.seconds as inbound_oldest_seconds, coalesce(i.held, 0) as inbound_held, i.reason as inbound_held_reason,
            coalesce(l.linked, 0) as linked, coalesce(l.pending, 0) as pending,
            coalesce(l.errors, 0) as errors, n.error_message as last_error, l.last_outbound_at, l.last_inbound_at,
            greatest(l.last_outbound_at, l.last_inbound_at) as last_synced_at,
            coalesce(d.conflicts, 0) as open_conflicts
        from unnest(array['customer', 'article', 'order', 'payment']) with ordinality as e (entity, n)
        left join outbox as o on o.entity_type = e.entity
        left join inbound as i on i.entity_type = e.entity
        left join linked as l on l.entity_type = e.entity
        left join newest as n on n.entity_type = e.entity
        left join disputed as d on d.entity_type = e.entity
        order by e.n
        """,
        {"project": project_id},
    )
    return await cursor.fetchall()


async def open_letters(connection: Connection, project_id: str) -> dict[str, int]:
    """Open dead letters of the two-way sync: outbound, inbound."""
    cursor = await connection.execute(
        """
        select count(*) filter (where direction = 'outbound') as outbound,
            count(*) filter (where direction = 'inbound' and source = 'vms') as inbound
        from sync.dead_letters
        where project_id = %s and state in ('open', 'permanently_failed')
        """,
        [project_id],
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def crm_has(connection: Connection, project_id: str, entity: str, crm_id: str) -> bool:
    """Whether an order, customer or offer of the CRM is known here, or linked."""
    cursor = await connection.execute(
        f"""
        select exists ({_CORE[entity]}) or exists (
            select from sync.mappings
            where project_id = %(project)s and entity_type = %(entity)s and crm_entity_id = %(id)s
        ) as flag
        """,  # noqa: S608
        {"project": project_id, "entity": entity, "id": crm_id},
    )
    row = await cursor.fetchone()
    assert row is not None
    return bool(row["flag"])


async def vms_has(connection: Connection, project_id: str, entity: str, vms_id: int) -> bool:
    cursor = await connection.execute(
        f"select exists (select from {_VMS[entity]} where project_id = %s and id = %s) as flag",  # noqa: S608
        [project_id, vms_id],
    )
    row = await cursor.fetchone()
    assert row is not None
    return bool(row["flag"])


async def offers_of_product(connection: Connection, project_id: str, product_id: str) -> list[str]:
    cursor = await connection.execute(
        "select offer_id from core.offers where project_id = %s and product_id = %s order by offer_id",
        [project_id, product_id],
    )
    return [row["offer_id"] for row in await cursor.fetchall()]
