"""Asks the two-way sync to look at objects again, which nobody has changed: a decision, a comparison, a person did it.

Such a row of the outbox names no fields, so that it does not pass for a change made just now.
"""

from __future__ import annotations

from collections.abc import Sequence

from database.connection import Connection


async def outbound(
    connection: Connection, project_id: str, entity: str, vms_ids: Sequence[int], *, even_waiting: bool = False
) -> int:
    """Put objects of vms into the outbox, but not those of which something waits there already, unless
    `even_waiting`; how many. Payments that vms does not have are left out: nobody knows their order."""
    cursor = await connection.execute(
        """
        insert into sync.outbox (project_id, entity_type, vms_entity_id, lane, operation)
        select %(project)s, %(entity)s, i.id,
            case when %(entity)s = 'payment' then 'order:' || p.order_id else %(entity)s || ':' || i.id end, 'update'
        from (select distinct unnest(%(ids)s::bigint[]) as id) as i
        left join vms.payments as p on %(entity)s = 'payment' and p.project_id = %(project)s and p.id = i.id
        where (%(entity)s <> 'payment' or p.id is not null)
            and (%(even_waiting)s or not exists (
                select from sync.outbox as o
                where o.project_id = %(project)s and o.entity_type = %(entity)s and o.vms_entity_id = i.id
                    and o.state = 'waiting'
            ))
        order by i.id
        """,
        {"project": project_id, "entity": entity, "ids": list(vms_ids), "even_waiting": even_waiting},
    )
    return cursor.rowcount


async def inbound(
    connection: Connection, project_id: str, entity: str, crm_ids: Sequence[str], *, even_waiting: bool = False
) -> int:
    """Put objects of the CRM into the inbound queue, but not those that wait there already, unless `even_waiting`; how
    many. Payments come with their orders: name these."""
    cursor = await connection.execute(
        """
        insert into sync.inbound_queue (project_id, entity_type, crm_entity_id)
        select %(project)s, %(entity)s, i.id
        from (select distinct unnest(%(ids)s::text[]) as id) as i
        where %(even_waiting)s or not exists (
            select from sync.inbound_queue as q
            where q.project_id = %(project)s and q.entity_type = %(entity)s and q.crm_entity_id = i.id
        )
        order by i.id
        """,
        {"project": project_id, "entity": entity, "ids": list(crm_ids), "even_waiting": even_waiting},
    )
    return cursor.rowcount


async def crm_orders_of_payments(connection: Connection, project_id: str, payment_ids: Sequence[int]) -> list[str]:
    """The CRM's ids of the orders of these payments of vms, of those that are linked."""
    cursor = await connection.execute(
        """
        select distinct m.crm_entity_id
        from vms.payments as p
        join sync.mappings as m
            on m.project_id = p.project_id and m.entity_type = 'order' and m.vms_entity_id = p.order_id
        where p.project_id = %s and p.id = any(%s) and m.crm_entity_id is not null
        order by m.crm_entity_id
        """,
        [project_id, list(payment_ids)],
    )
    return [row["crm_entity_id"] for row in await cursor.fetchall()]


async def orders_of_crm_payments(connection: Connection, project_id: str, payment_ids: Sequence[str]) -> list[str]:
    """The orders at the CRM of these payments at the CRM."""
    cursor = await connection.execute(
        "select distinct order_id from core.payments where project_id = %s and payment_id = any(%s) order by order_id",
        [project_id, list(payment_ids)],
    )
    return [row["order_id"] for row in await cursor.fetchall()]
