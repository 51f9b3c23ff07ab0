"""Objects of core that this transaction has changed, as those who listen are told of them: no personal data.

An upsert of core sets `updated_at` to the time of its transaction, and only where something is distinct: that tells a
change from a record that says the same again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from database.connection import Connection


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
        connection, project_id, order_ids, table="orders", key="order_id", entity="order",
        columns=f"""
            c.order_id, c.status_id, s.name as status_name, c.status_group_id, c.customer_id, c.payment_status,
            c.grand_total, c.payments_total, c.currency, c.is_deleted, c.order_created_at, {told("c")} as told
        """,
        joined="left join core.statuses as s on s.project_id = c.project_id and s.status_id = c.status_id",
    )  # fmt: skip
    return [row for row in rows if row.pop("told") != before.get(row["order_id"])]


async def payments(connection: Connection, project_id: str, order_ids: Collection[str]) -> list[dict[str, Any]]:
    """Of these orders."""
    return await _changed(
        connection, project_id, order_ids, table="payments", key="payment_id", entity="payment", of="order_id",
        columns="c.payment_id, c.order_id, c.amount, c.currency, c.status, c.paid_at, c.is_deleted",
    )  # fmt: skip


async def customers(connection: Connection, project_id: str, customer_ids: Collection[str]) -> list[dict[str, Any]]:
    """That they changed: what is personal stays out."""
    return await _changed(
        connection, project_id, customer_ids, table="customers", key="customer_id", entity="customer",
        columns="c.customer_id, c.is_deleted",
    )  # fmt: skip


async def offers(connection: Connection, project_id: str, offer_ids: Collection[str]) -> list[dict[str, Any]]:
    return await _changed(
        connection, project_id, offer_ids, table="offers", key="offer_id", entity="article", time="stock_updated_at",
        columns="c.offer_id, c.product_id, c.sku, c.price, c.in_stock, c.in_reserve, c.is_archived",
    )  # fmt: skip


async def _changed(
    connection: Connection,
    project_id: str,
    ids: Collection[str],
    *,
    table: str,
    key: str,
    entity: str,
    columns: str,
    of: str | None = None,
    time: str = "source_updated_at",
    joined: str = "",
) -> list[dict[str, Any]]:
    """`columns` of the changed rows of a table, with `changed_at` and `vms_id`, in the order of their changes; `ids`
    are of the column `of`, or of the key."""
    cursor = await connection.execute(
        f"""
        select {columns}, c.{time} as changed_at, m.vms_entity_id as vms_id
        from core.{table} as c
        {joined}
        left join sync.mappings as m
            on m.project_id = c.project_id and m.entity_type = %(entity)s and m.crm_entity_id = c.{key}
        where c.project_id = %(project)s and c.{of or key} = any(%(ids)s) and c.updated_at = now()
        order by c.{time} nulls first, c.{key}
        """,  # noqa: S608
        {"entity": entity, "project": project_id, "ids": list(ids)},
    )
    rows: list[dict[str, Any]] = await cursor.fetchall()
    return rows
