"""Objects of core that this transaction has changed, as those who listen are told of them: no personal data.

An upsert of core sets `updated_at` to the time of its transaction, and only where something is distinct: that tells a
change from a record that says the same again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from database.connection import Connection


def told(alias: str) -> str:
    """Two expressions for what an order of core.orders is told by: `brief`, what a webhook tells of it, and `full`, all
    but how far it was read and what was paid, of which payments have events of their own. Both as texts."""
    columns = (
        "status_id", "status_group_id", "customer_id", "payment_status", "grand_total", "currency", "is_deleted",
        "order_created_at", "source_updated_at",
    )  # fmt: skip
    rest = "'{has_items,items_updated_at,payments_updated_at,payments_total,updated_at}'::text[]"
    brief = ", ".join(f"{alias}.{name}" for name in columns)
    return f"jsonb_build_array({brief})::text as brief, md5((to_jsonb({alias}) - {rest})::text) as full"


class Before(Protocol):
    """An order as it was: core.OrderState."""

    has_items: bool
    brief: str | None
    full: str | None


async def orders(
    connection: Connection, project_id: str, order_ids: Collection[str], before: Mapping[str, Before | None]
) -> list[dict[str, Any]]:
    """`before`: as they were before the transaction, None if they were not there. A change that a webhook told is no
    news when the whole record has been read after it, unless that tells more: of a new order, more of what webhooks
    tell."""
    rows = await _changed(
        connection, project_id, order_ids, table="orders", key="order_id", entity="order",
        columns="""
            c.order_id, c.status_id, s.name as status_name, c.status_group_id, c.customer_id, c.payment_status,
            c.grand_total, c.payments_total, c.currency, c.is_deleted, c.order_created_at
        """,
        joined="left join core.statuses as s on s.project_id = c.project_id and s.status_id = c.status_id",
    )  # fmt: skip
    known = {crm_id: was for row in rows if (was := before.get(crm_id := row["order_id"])) is not None}
    if not known:
        return rows
    cursor = await connection.execute(
        f"select o.order_id, {told('o')} from core.orders as o where project_id = %s and order_id = any(%s)",  # noqa: S608
        [project_id, list(known)],
    )
    same = set()
    for now in await cursor.fetchall():
        was = known[now["order_id"]]
        if now["full"] == was.full or (not was.has_items and now["brief"] == was.brief):
            same.add(now["order_id"])
    return [row for row in rows if row["order_id"] not in same]


async def payments(connection: Connection, project_id: str, order_ids: Collection[str]) -> list[dict[str, Any]]:
    """Of these orders."""
    return await _changed(
        connection, project_id, order_ids, table="payments", key="payment_id", entity="payment", of="order_id",
        columns="c.payment_id, c.order_id, c.amount, c.currency, c.status, c.paid_at, c.is_deleted",
    )  # fmt: skip


async def customers(
    connection: Connection, project_id: str, customer_ids: Collection[str], before: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    """That they changed: what is personal stays out. `before` is as `told_of_customers` had it: each order tells its
    customer again, with a later time."""
    rows = await _changed(
        connection, project_id, customer_ids, table="customers", key="customer_id", entity="customer",
        columns="c.customer_id, c.is_deleted",
    )  # fmt: skip
    known = [row["customer_id"] for row in rows if before.get(row["customer_id"]) is not None]
    now = await told_of_customers(connection, project_id, known) if known else {}
    return [
        row for row in rows if row["customer_id"] not in now or now[row["customer_id"]] != before[row["customer_id"]]
    ]


async def told_of_customers(connection: Connection, project_id: str, ids: Collection[str]) -> dict[str, str]:
    """All that is told of customers, apart from its times, as one text each."""
    cursor = await connection.execute(
        """
        select customer_id,
            md5((to_jsonb(c) - '{source_created_at,source_updated_at,updated_at}'::text[])::text) as told
        from core.customers as c
        where project_id = %s and customer_id = any(%s)
        """,
        [project_id, list(ids)],
    )
    return {row["customer_id"]: row["told"] for row in await cursor.fetchall()}


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
