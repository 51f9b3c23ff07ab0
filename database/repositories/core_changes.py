"""Objects of core that this transaction has changed, as those who listen are told of them: no personal data.

An upsert of core sets `updated_at` to the time of its transaction, and only where something is distinct: that tells a
change from a record that says the same again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from database.connection import Connection

_VMS_ID = """
    left join sync.mappings as m
        on m.project_id = c.project_id and m.entity_type = '{entity}' and m.crm_entity_id = c.{key}
"""


def told(alias: str) -> str:
    """An expression for what an order of core.orders is told by, as one text. Once a webhook has told a change, the
    record that is read after it is no news unless it differs here: not by its lines, nor by what was paid, which no
    webhook tells, and which has events of its own."""
    columns = (
        "status_id", "status_group_id", "customer_id", "payment_status", "grand_total", "currency", "is_deleted",
        "order_created_at", "source_updated_at",
    )  # fmt: skip
    return f"jsonb_build_array({', '.join(f'{alias}.{name}' for name in columns)})::text"


async def orders(
    connection: Connection, project_id: str, order_ids: Collection[str], before: Mapping[str, str]
) -> list[dict[str, Any]]:
    """`before`: what was `told` of those that were there before the transaction."""
    rows = await _changed(
        connection,
        f"""
        select c.order_id, c.status_id, s.name as status_name, c.status_group_id, c.customer_id, c.payment_status,
            c.grand_total, c.payments_total, c.currency, c.is_deleted, c.order_created_at,
            c.source_updated_at as changed_at, m.vms_entity_id as vms_id, {told("c")} as told
        from core.orders as c
        left join core.statuses as s on s.project_id = c.project_id and s.status_id = c.status_id
        {_VMS_ID.format(entity="order", key="order_id")}
        where c.project_id = %s and c.order_id = any(%s) and c.updated_at = now()
        order by c.source_updated_at nulls first, c.order_id
        """,  # noqa: S608
        project_id,
        order_ids,
    )
    return [row for row in rows if row.pop("told") != before.get(row["order_id"])]


async def payments(connection: Connection, project_id: str, order_ids: Collection[str]) -> list[dict[str, Any]]:
    """Of these orders."""
    return await _changed(
        connection,
        f"""
        select c.payment_id, c.order_id, c.amount, c.currency, c.status, c.paid_at, c.is_deleted,
            c.source_updated_at as changed_at, m.vms_entity_id as vms_id
        from core.payments as c
        {_VMS_ID.format(entity="payment", key="payment_id")}
        where c.project_id = %s and c.order_id = any(%s) and c.updated_at = now()
        order by c.source_updated_at nulls first, c.payment_id
        """,  # noqa: S608
        project_id,
        order_ids,
    )


async def customers(connection: Connection, project_id: str, customer_ids: Collection[str]) -> list[dict[str, Any]]:
    """That they changed: what is personal stays out."""
    return await _changed(
        connection,
        f"""
        select c.customer_id, c.is_deleted, c.source_updated_at as changed_at, m.vms_entity_id as vms_id
        from core.customers as c
        {_VMS_ID.format(entity="customer", key="customer_id")}
        where c.project_id = %s and c.customer_id = any(%s) and c.updated_at = now()
        order by c.source_updated_at nulls first, c.customer_id
        """,  # noqa: S608
        project_id,
        customer_ids,
    )


async def offers(connection: Connection, project_id: str, offer_ids: Collection[str]) -> list[dict[str, Any]]:
    return await _changed(
        connection,
        f"""
        select c.offer_id, c.product_id, c.sku, c.price, c.in_stock, c.in_reserve, c.is_archived,
            c.stock_updated_at as changed_at, m.vms_entity_id as vms_id
        from core.offers as c
        {_VMS_ID.format(entity="article", key="offer_id")}
        where c.project_id = %s and c.offer_id = any(%s) and c.updated_at = now()
        order by c.offer_id
        """,  # noqa: S608
        project_id,
        offer_ids,
    )


async def _changed(connection: Connection, query: str, project_id: str, ids: Collection[str]) -> list[dict[str, Any]]:
    cursor = await connection.execute(query, [project_id, list(ids)])
    rows: list[dict[str, Any]] = await cursor.fetchall()
    return rows
