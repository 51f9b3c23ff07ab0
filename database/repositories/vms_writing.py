"""Schema vms, as the inbound sync writes it: one statement for all rows of a kind.

The caller's transaction has said that it is the sync's (`as_sync`), so that nothing of it goes out again. Rows are
columns -> values as JSON; in an update, a column that is missing stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from database.connection import Connection

Row = Mapping[str, Any]
Table = Literal["customers", "articles", "orders", "order_items", "payments", "shipments"]

_COLUMNS: Mapping[Table, Mapping[str, str]] = {
    "customers": {"full_name": "text", "phone": "text", "email": "text", "segment": "text", "note": "text"},
    "articles": {
        "sku": "text", "name": "text", "description": "text", "price": "numeric", "purchased_price": "numeric",
        "currency": "text", "stock": "numeric", "barcode": "text", "is_active": "boolean",
    },
    "orders": {
        "number": "text", "customer_id": "bigint", "status": "text", "payment_status": "text", "currency": "text",
        "total": "numeric", "discount": "numeric", "shipping_price": "numeric", "comment": "text",
        "ordered_at": "timestamptz",
    },
    "order_items": {
        "order_id": "bigint", "article_id": "bigint", "sku": "text", "name": "text", "quantity": "numeric",
        "price": "numeric", "discount": "numeric",
    },
    "payments": {
        "order_id": "bigint", "amount": "numeric", "currency": "text", "method": "text", "status": "text",
        "paid_at": "timestamptz",
    },
    "shipments": {
        "order_id": "bigint", "carrier": "text", "tracking_number": "text", "status": "text", "recipient": "text",
        "phone": "text", "address": "text", "shipped_at": "timestamptz",
    },
}  # fmt: skip
_DEFAULTS: Mapping[Table, Mapping[str, str]] = {
    "customers": {"full_name": "''"},
    "articles": {"name": "''", "price": "0", "stock": "0", "is_active": "true"},
    "orders": {
        "status": "'PENDING'", "payment_status": "'not_paid'", "total": "0", "discount": "0", "shipping_price": "0",
        "ordered_at": "clock_timestamp()",
    },
    "order_items": {"name": "''", "quantity": "1", "discount": "0"},
    "payments": {"status": "'pending'"},
    "shipments": {},
}  # fmt: skip
"""For columns that take no null, unless a trigger fills them."""
_PARTS: tuple[Table, ...] = ("order_items", "shipments", "payments")
_TABLES: Mapping[str, Table] = {
    "customer": "customers", "article": "articles", "order": "orders", "payment": "payments",
}  # fmt: skip


def table_of(entity: str) -> Table:
    return _TABLES[entity]


async def as_sync(connection: Connection, origin: str) -> None:
    """What the transaction writes in vms from here on is the sync's own: `origin` is the CRM."""
    await connection.execute("select set_config('crm_elt.origin', %s, true)", [origin])


async def new_ids(connection: Connection, table: Table, count: int) -> list[int]:
    cursor = await connection.execute(
        "select nextval(pg_get_serial_sequence('vms.' || %s, 'id')) as id from generate_series(1, %s)", [table, count]
    )
    return [row["id"] for row in await cursor.fetchall()]


async def insert(connection: Connection, project_id: str, table: Table, rows: Sequence[Row]) -> None:
    """Add rows; an `id` of `new_ids`, or none: the next one. Columns without a value have their default."""
    if not rows:
        return
    columns, defaults = _COLUMNS[table], _DEFAULTS[table]
    values = [f"coalesce({name}, {defaults[name]})" if name in defaults else name for name in columns]
    await connection.execute(
        f"insert into vms.{table} (project_id, id, {', '.join(columns)}) "  # noqa: S608
        f"select %s, coalesce(id, nextval(pg_get_serial_sequence('vms.{table}', 'id'))), {', '.join(values)} "
        f"from json_to_recordset(%s::json) as r (id bigint, "
        + ", ".join(f"{name} {kind}" for name, kind in columns.items())
        + ")",
        [project_id, _document(rows)],
    )


async def update(connection: Connection, project_id: str, table: Table, rows: Sequence[Row]) -> None:
    """Set the columns that each row names, by `id`."""
    if not rows:
        return
    columns = _COLUMNS[table]
    named = {name for row in rows for name in row if name != "id"}
    settings = []
    for name in (name for name in columns if name in named):
        value = f"(r.row ->> '{name}')::{columns[name]}"
        if name in _DEFAULTS[table]:
            value = f"coalesce({value}, {_DEFAULTS[table][name]})"
        settings.append(f"{name} = case when r.row ? '{name}' then {value} else t.{name} end")
    await connection.execute(
        f"update vms.{table} as t set {', '.join(settings)} "  # noqa: S608
        "from jsonb_array_elements(%s::jsonb) as r (row) "
        "where t.project_id = %s and t.id = (r.row ->> 'id')::bigint",
        [_document(rows), project_id],
    )


async def delete(connection: Connection, project_id: str, table: Table, ids: Sequence[int]) -> None:
    if ids:
        await connection.execute(
            f"delete from vms.{table} where project_id = %s and id = any(%s)",  # noqa: S608
            [project_id, list(ids)],
        )


async def lock(connection: Connection, project_id: str, entity: str, ids: Collection[int]) -> set[int]:
    """Lock objects against writers until the transaction ends: those that nobody is writing just now, and those that
    are not there. Of an order its lines, payments and shipments are locked too."""
    free = await _lock_rows(connection, project_id, table_of(entity), "id", ids)
    if entity == "order":
        for part in _PARTS:
            free &= await _lock_rows(connection, project_id, part, "order_id", free)
    return free


async def _lock_rows(
    connection: Connection, project_id: str, table: Table, owner: str, ids: Collection[int]
) -> set[int]:
    cursor = await connection.execute(
        f"""
        select id from vms.{table} where project_id = %s and {owner} = any(%s) order by id for update skip locked
        """,  # noqa: S608
        [project_id, list(ids)],
    )
    locked = {row["id"] for row in await cursor.fetchall()}
    cursor = await connection.execute(
        f"select id, {owner} as owner from vms.{table} where project_id = %s and {owner} = any(%s)",  # noqa: S608
        [project_id, list(ids)],
    )
    return set(ids) - {row["owner"] for row in await cursor.fetchall() if row["id"] not in locked}


async def lines(connection: Connection, project_id: str, order_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """id, sku, name, quantity, price, discount of the lines of orders, by order."""
    cursor = await connection.execute(
        """
        select order_id, id, sku, name, quantity, price, discount from vms.order_items
        where project_id = %s and order_id = any(%s) order by id
        """,
        [project_id, list(order_ids)],
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for row in await cursor.fetchall():
        found.setdefault(row.pop("order_id"), []).append(row)
    return found


async def existing(connection: Connection, project_id: str, table: Table, ids: Sequence[int]) -> set[int]:
    cursor = await connection.execute(
        f"select id from vms.{table} where project_id = %s and id = any(%s)",  # noqa: S608
        [project_id, list(ids)],
    )
    return {row["id"] for row in await cursor.fetchall()}


async def id_of(connection: Connection, project_id: str, table: Table, key: str) -> int | None:
    """Of the order of that number, or the article of that sku; locked until the transaction ends."""
    name = {"orders": "number", "articles": "sku"}[table]
    cursor = await connection.execute(
        f"select id from vms.{table} where project_id = %s and {name} = %s for update",  # noqa: S608
        [project_id, key],
    )
    row = await cursor.fetchone()
    return None if row is None else int(row["id"])


async def article_defaults(connection: Connection, project_id: str, skus: Collection[str]) -> dict[str, dict[str, Any]]:
    """name and price of articles, which their lines have if they say nothing else, by sku."""
    cursor = await connection.execute(
        "select sku, name, price from vms.articles where project_id = %s and sku = any(%s)", [project_id, list(skus)]
    )
    return {row.pop("sku"): row for row in await cursor.fetchall()}


async def newest_shipments(connection: Connection, project_id: str, order_ids: Sequence[int]) -> dict[int, int]:
    """Order id -> id of its newest shipment."""
    cursor = await connection.execute(
        "select order_id, max(id) as id from vms.shipments where project_id = %s and order_id = any(%s) group by 1",
        [project_id, list(order_ids)],
    )
    return {row["order_id"]: row["id"] for row in await cursor.fetchall()}


async def order_summaries(connection: Connection, project_id: str, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """number, status, payment_status, total, currency of orders, by id."""
    cursor = await connection.execute(
        """
        select id, number, status, payment_status, total::text as total, currency
        from vms.orders where project_id = %s and id = any(%s)
        """,
        [project_id, list(ids)],
    )
    return {row.pop("id"): row for row in await cursor.fetchall()}


async def taken_numbers(connection: Connection, project_id: str, numbers: Sequence[str]) -> set[str]:
    cursor = await connection.execute(
        "select number from vms.orders where project_id = %s and number = any(%s)", [project_id, list(numbers)]
    )
    return {row["number"] for row in await cursor.fetchall()}


async def articles_by_sku(connection: Connection, project_id: str, skus: Collection[str]) -> dict[str, int]:
    cursor = await connection.execute(
        "select sku, id from vms.articles where project_id = %s and sku = any(%s)", [project_id, list(skus)]
    )
    return {row["sku"]: row["id"] for row in await cursor.fetchall()}


async def unlinked_customers(
    connection: Connection, project_id: str, phone_ends: Iterable[str], emails: Iterable[str]
) -> list[dict[str, Any]]:
    """id, phone, email of customers that no customer of the CRM is linked with, whose phone ends in one of these nine
    digits or whose e-mail is one of these (in small letters); the oldest first."""
    cursor = await connection.execute(
        """
        select c.id, c.phone, c.email
        from vms.customers as c
        where c.project_id = %(project)s
            and (
                right(regexp_replace(c.phone, '[^0-9]', '', 'g'), 9) = any(%(phones)s)
                or lower(c.email) = any(%(emails)s)
            )
            and not exists (
                select from sync.mappings as m
                where m.project_id = c.project_id and m.entity_type = 'customer' and m.vms_entity_id = c.id
                    and m.crm_entity_id is not null
            )
        order by c.id
        """,
        {"project": project_id, "phones": list(phone_ends), "emails": list(emails)},
    )
    return await cursor.fetchall()


def _document(rows: Sequence[Row]) -> str:
    return _encoder.encode(rows).decode()


_encoder = msgspec.json.Encoder(decimal_format="number")
