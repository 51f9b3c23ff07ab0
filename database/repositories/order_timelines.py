"""What one order's timeline is made of: events, working windows, limits, items, payments, marketing; all by indexes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class EventRow:
    """A status event with the stage that it leads into, and the calendar that the stage's time is measured by."""

    event_id: int
    status_id: str
    status_name: str | None
    status_group_id: str | None
    status_group_name: str | None
    is_closing: bool
    calendar_id: int
    is_always_open: bool
    entered_at: datetime
    source: str
    """webhook, pull, reread, history."""
    is_approximate: bool
    """The CRM told no time of the change."""


@dataclass(frozen=True, slots=True)
class WindowRow:
    calendar_id: int
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class ItemRow:
    line_number: int
    sku: str | None
    item_name: str | None
    quantity: Decimal
    unit_type: str | None
    price: Decimal | None
    price_sold: Decimal | None
    total_discount: Decimal | None
    currency: str | None
    is_urgent_item: bool


@dataclass(frozen=True, slots=True)
class PaymentRow:
    payment_id: str
    amount: Decimal
    currency: str | None
    status: str
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class MarketingRow:
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    utm_term: str | None
    utm_content: str | None
    fbclid: str | None
    gclid: str | None
    marketing_source: str


@dataclass(frozen=True, slots=True)
class SumsRow:
    """The order's money, as the CRM has it."""

    grand_total: Decimal | None
    payments_total: Decimal | None
    currency: str | None
    payment_status: str | None


async def begin_snapshot(connection: Connection) -> datetime:
    """In a transaction that has just begun: all that follows is read as of one instant, which is returned."""
    await connection.execute("set transaction isolation level repeatable read read only")
    row = await (await connection.execute("select now() as at")).fetchone()
    assert row is not None
    at: datetime = row["at"]
    return at


async def events(connection: Connection, project_id: str, order_id: str) -> list[EventRow]:
    """In order. The stage is the event's own group, else the dictionary's, as in fct_order_status_intervals."""
    cursor = await connection.execute(
        """
        select e.event_id, e.status_id, s.status_name,
            coalesce(e.status_group_id, s.status_group_id) as status_group_id, g.status_group_name,
            coalesce(s.is_closing, false) as is_closing,
            coalesce(g.calendar_id, d.calendar_id) as calendar_id,
            coalesce(g.is_always_open, d.is_always_open) as is_always_open,
            e.status_changed_at as entered_at, e.source, e.is_approximate
        from core.order_status_events as e
        join intermediate.int_status_groups__resolved as d on d.project_id = e.project_id and d.status_group_id = ''
        left join intermediate.int_statuses__overlaid as s
            on s.project_id = e.project_id and s.status_id = e.status_id
        left join intermediate.int_status_groups__resolved as g
            on g.project_id = e.project_id and g.status_group_id = coalesce(e.status_group_id, s.status_group_id)
        where e.project_id = %s and e.order_id = %s
        order by e.status_changed_at, e.event_id
        """,
        [project_id, order_id],
    )
    return [EventRow(**row) for row in await cursor.fetchall()]


async def windows(
    connection: Connection, calendar_ids: Collection[int], since: datetime, until: datetime
) -> list[WindowRow]:
    """Those that overlap the span, by calendar and time: merged, so that none touches the next."""
    cursor = await connection.execute(
        """
        select w.calendar_id, w.opens_at, w.closes_at
        from intermediate.int_calendars__windows as w
        where w.calendar_id = any(%s) and w.closes_at > %s and w.opens_at < %s
        order by w.calendar_id, w.opens_us
        """,
        [list(calendar_ids), since, until],
    )
    return [WindowRow(**row) for row in await cursor.fetchall()]


async def coverage(connection: Connection, project_id: str) -> tuple[datetime, datetime] | None:
    """From one instant on and before another the project's calendars are known."""
    cursor = await connection.execute(
        """
        select to_timestamp(first_day * 86400::bigint) as since, to_timestamp((last_day + 1) * 86400::bigint) as until
        from intermediate.int_calendars__spans
        where project_id = %s
        """,
        [project_id],
    )
    row = await cursor.fetchone()
    return None if row is None else (row["since"], row["until"])


async def limits(connection: Connection, project_id: str) -> dict[tuple[str, str], int]:
    """Seconds by (grid, group)."""
    cursor = await connection.execute(
        "select profile, status_group_id, limit_seconds from config.sla_rules where project_id = %s", [project_id]
    )
    return {(row["profile"], row["status_group_id"]): row["limit_seconds"] for row in await cursor.fetchall()}


async def items(connection: Connection, project_id: str, order_id: str, limit: int) -> list[ItemRow]:
    cursor = await connection.execute(
        """
        select line_number, sku, item_name, quantity, unit_type, price, price_sold, total_discount, currency,
            is_urgent_item
        from marts.fct_order_items
        where project_id = %s and order_id = %s
        order by line_number
        limit %s
        """,
        [project_id, order_id, limit],
    )
    return [ItemRow(**row) for row in await cursor.fetchall()]


async def payments(connection: Connection, project_id: str, order_id: str, limit: int) -> list[PaymentRow]:
    """Oldest first, without those that have left the order."""
    cursor = await connection.execute(
        """
        select payment_id, amount, currency, status, paid_at
        from core.payments
        where project_id = %s and order_id = %s and not is_deleted
        order by coalesce(paid_at, source_created_at), payment_id
        limit %s
        """,
        [project_id, order_id, limit],
    )
    return [PaymentRow(**row) for row in await cursor.fetchall()]


async def marketing(connection: Connection, project_id: str, order_id: str) -> MarketingRow | None:
    cursor = await connection.execute(
        """
        select utm_source, utm_medium, utm_campaign, utm_term, utm_content, fbclid, gclid, marketing_source
        from marts.fct_order_marketing
        where project_id = %s and order_id = %s
        """,
        [project_id, order_id],
    )
    row = await cursor.fetchone()
    return None if row is None else MarketingRow(**row)


async def sums(connection: Connection, project_id: str, order_id: str) -> SumsRow | None:
    cursor = await connection.execute(
        """
        select grand_total, payments_total, currency, payment_status
        from core.orders
        where project_id = %s and order_id = %s
        """,
        [project_id, order_id],
    )
    row = await cursor.fetchone()
    return None if row is None else SumsRow(**row)
