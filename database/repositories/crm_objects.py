"""What core knows of objects of the CRM, for the two-way sync to compare with vms: one query for each kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class OrderRow:
    order_id: str
    source_uuid: str | None
    status_id: str | None
    status_group_id: str | None
    status_changed_at: datetime | None
    """When the CRM says that it entered its status; None where that is a guess."""
    customer_id: str | None
    total_discount: Decimal | None
    shipping_price: Decimal | None
    grand_total: Decimal | None
    currency: str | None
    payment_status: str | None
    manager_comment: str | None
    delivery_service_id: str | None
    tracking_code: str | None
    shipping_region: str | None
    shipping_city: str | None
    shipping_address: str | None
    recipient_name: str | None
    recipient_phone_e164: str | None
    is_deleted: bool
    has_items: bool
    ordered_at: datetime | None
    order_created_at: datetime | None
    source_updated_at: datetime | None
    items_updated_at: datetime | None
    known_at: datetime
    """When core last learned something of it; so in all rows."""


@dataclass(frozen=True, slots=True)
class LineRow:
    order_id: str
    sku: str | None
    name: str | None
    quantity: Decimal
    price: Decimal | None
    price_sold: Decimal | None
    total_discount: Decimal | None
    known_at: datetime


@dataclass(frozen=True, slots=True)
class CustomerRow:
    customer_id: str
    full_name: str | None
    phone_e164: str | None
    phones: list[str]
    email: str | None
    note: str | None
    is_deleted: bool
    source_created_at: datetime | None
    """None: known from its orders alone."""
    source_updated_at: datetime | None
    known_at: datetime


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """An offer with its product."""

    offer_id: str
    product_id: str | None
    sku: str | None
    name: str | None
    price: Decimal | None
    purchased_price: Decimal | None
    currency: str | None
    in_stock: Decimal | None
    barcode: str | None
    is_archived: bool
    stock_updated_at: datetime | None
    known_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentRow:
    payment_id: str
    order_id: str
    payment_method_id: str | None
    amount: Decimal
    currency: str | None
    status: str
    description: str | None
    transaction_uuid: str | None
    paid_at: datetime | None
    is_deleted: bool
    source_updated_at: datetime | None
    known_at: datetime


async def orders(connection: Connection, project_id: str, ids: Sequence[str]) -> list[OrderRow]:
    cursor = await connection.execute(
        """
        select o.order_id, o.source_uuid, o.status_id, o.status_group_id, e.status_changed_at, o.customer_id,
            o.total_discount, o.shipping_price, o.grand_total, o.currency, o.payment_status, o.manager_comment,
            o.delivery_service_id, o.tracking_code, o.shipping_region, o.shipping_city, o.shipping_address,
            o.recipient_name, o.recipient_phone_e164, o.is_deleted, o.has_items, o.ordered_at,
            o.order_created_at, o.source_updated_at, o.items_updated_at, o.updated_at as known_at
        from core.orders as o
        left join lateral (
            select s.status_changed_at
            from core.order_status_events as s
            where s.project_id = o.project_id and s.order_id = o.order_id and s.status_id = o.status_id
                and not s.is_approximate
            order by s.status_changed_at desc
            limit 1
        ) as e on true
        where o.project_id = %s and o.order_id = any(%s)
        """,
        [project_id, list(ids)],
    )
    return [OrderRow(**row) for row in await cursor.fetchall()]


async def lines(connection: Connection, project_id: str, order_ids: Sequence[str]) -> list[LineRow]:
    """A line without a sku has that of its offer."""
    cursor = await connection.execute(
        """
        select i.order_id, coalesce(i.sku, f.sku) as sku, i.name, i.quantity, i.price, i.price_sold, i.total_discount,
            i.updated_at as known_at
        from core.order_items as i
        left join core.offers as f on f.project_id = i.project_id and f.offer_id = i.offer_id
        where i.project_id = %s and i.order_id = any(%s)
        """,
        [project_id, list(order_ids)],
    )
    return [LineRow(**row) for row in await cursor.fetchall()]


async def customers(connection: Connection, project_id: str, ids: Sequence[str]) -> list[CustomerRow]:
    cursor = await connection.execute(
        """
        select customer_id, full_name, phone_e164, phones, email, note, is_deleted, source_created_at,
            source_updated_at, updated_at as known_at
        from core.customers
        where project_id = %s and customer_id = any(%s)
        """,
        [project_id, list(ids)],
    )
    return [CustomerRow(**row) for row in await cursor.fetchall()]


async def articles(connection: Connection, project_id: str, ids: Sequence[str]) -> list[ArticleRow]:
    """By offer id."""
    cursor = await connection.execute(
        """
        select f.offer_id, f.product_id, f.sku, p.name, coalesce(f.price, p.price) as price,
            coalesce(f.purchased_price, p.purchased_price) as purchased_price, p.currency, f.in_stock, f.barcode,
            f.is_archived or coalesce(p.is_archived, false) as is_archived, f.stock_updated_at,
            greatest(f.updated_at, p.updated_at) as known_at
        from core.offers as f
        left join core.products as p on p.project_id = f.project_id and p.product_id = f.product_id
        where f.project_id = %s and f.offer_id = any(%s)
        """,
        [project_id, list(ids)],
    )
    return [ArticleRow(**row) for row in await cursor.fetchall()]


async def payments(connection: Connection, project_id: str, ids: Sequence[str]) -> list[PaymentRow]:
    cursor = await connection.execute(
        """
        select payment_id, order_id, payment_method_id, amount, currency, status, description, transaction_uuid,
            paid_at, is_deleted, source_updated_at, updated_at as known_at
        from core.payments
        where project_id = %s and payment_id = any(%s)
        """,
        [project_id, list(ids)],
    )
    return [PaymentRow(**row) for row in await cursor.fetchall()]


async def payment_ids(connection: Connection, project_id: str, order_ids: Collection[str]) -> dict[str, list[str]]:
    """The payments of orders, those that are gone too, by order id."""
    cursor = await connection.execute(
        """
        select order_id, array_agg(payment_id order by source_created_at, payment_id) as ids
        from core.payments where project_id = %s and order_id = any(%s) group by order_id
        """,
        [project_id, list(order_ids)],
    )
    return {row["order_id"]: row["ids"] for row in await cursor.fetchall()}


async def offers_of_products(connection: Connection, project_id: str, product_ids: Collection[str]) -> list[str]:
    cursor = await connection.execute(
        "select offer_id from core.offers where project_id = %s and product_id = any(%s)",
        [project_id, list(product_ids)],
    )
    return [row["offer_id"] for row in await cursor.fetchall()]


async def offers_of_skus(connection: Connection, project_id: str, skus: Collection[str]) -> list[str]:
    cursor = await connection.execute(
        "select offer_id from core.offers where project_id = %s and sku = any(%s)", [project_id, list(skus)]
    )
    return [row["offer_id"] for row in await cursor.fetchall()]


async def statuses(connection: Connection, project_id: str) -> list[dict[str, Any]]:
    """status_id, alias, name, group_id, is_active of each status that the CRM or the settings tell; the settings' own
    words go first. In the order of groups and ids, numbers as numbers."""
    cursor = await connection.execute(
        """
        select coalesce(s.status_id, c.status_id) as status_id, s.alias, coalesce(c.name, s.name) as name,
            coalesce(c.status_group_id, s.status_group_id) as group_id, coalesce(s.is_active, true) as is_active
        from (select * from core.statuses where project_id = %(project)s) as s
        full join (select * from config.statuses where project_id = %(project)s) as c using (status_id)
        order by length(coalesce(c.status_group_id, s.status_group_id)), 4, length(status_id), status_id
        """,
        {"project": project_id},
    )
    return await cursor.fetchall()
