"""Schema vms, as it is read: rows of each kind of object with all that its fields are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from database.connection import Connection

Row = dict[str, Any]

_ORDERS = """
    select w.id, w.number, w.customer_id, w.status, w.currency, w.total, w.discount, w.shipping_price, w.comment,
        w.ordered_at, w.updated_at, 'order:' || w.id as lane,
        c.full_name as customer_name, c.phone as customer_phone, c.email as customer_email,
        s.carrier, s.tracking_number, s.recipient, s.phone, s.address, coalesce(i.items, '[]') as items
    from vms.orders as w
    left join vms.customers as c on c.project_id = w.project_id and c.id = w.customer_id
    left join lateral (
        select * from vms.shipments as s
        where s.project_id = w.project_id and s.order_id = w.id order by s.id desc limit 1
    ) as s on true
    left join lateral (
        select json_agg(
            json_build_object(
                'article_id', i.article_id, 'sku', i.sku, 'name', i.name, 'quantity', i.quantity::text,
                'price', i.price::text, 'discount', i.discount::text
            ) order by i.id
        ) as items
        from vms.order_items as i where i.project_id = w.project_id and i.order_id = w.id
    ) as i on true
    where w.project_id = %s and w.id = any(%s)
"""
_CUSTOMERS = """
    select id, full_name, phone, email, segment, note, updated_at, 'customer:' || id as lane
    from vms.customers where project_id = %s and id = any(%s)
"""
_ARTICLES = """
    select a.id, a.sku, a.name, a.description, a.price, a.purchased_price, coalesce(a.currency, p.currency) as currency,
        a.stock, a.barcode, a.is_active, a.updated_at, 'article:' || a.id as lane
    from vms.articles as a
    join config.projects as p on p.project_id = a.project_id
    where a.project_id = %s and a.id = any(%s)
"""
_PAYMENTS = """
    select id, order_id, amount, currency, method, status, paid_at, updated_at, 'order:' || order_id as lane
    from vms.payments where project_id = %s and id = any(%s)
"""
_QUERIES = {"order": _ORDERS, "customer": _CUSTOMERS, "article": _ARTICLES, "payment": _PAYMENTS}


async def load(connection: Connection, project_id: str, entity: str, ids: Sequence[int]) -> list[Row]:
    """The rows there are; `lane` is that of the outbox. An order has the columns of its newest shipment, its customer's
    as customer_name, customer_phone and customer_email, and `items`, whose numbers are text."""
    cursor = await connection.execute(_QUERIES[entity], [project_id, list(ids)])
    return await cursor.fetchall()


async def has_article(connection: Connection, project_id: str, sku: str) -> bool:
    cursor = await connection.execute("select from vms.articles where project_id = %s and sku = %s", [project_id, sku])
    return await cursor.fetchone() is not None
