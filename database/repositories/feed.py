"""core.transaction_changes as a feed, and sync.deliveries: what is sent of it to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psycopg.rows import class_row

from database.connection import Connection
from database.repositories.subscriptions import SubscriptionRow

_COLUMNS = """
    c.position, c.project_id, c.external_id, c.crm, c.occurred_at, c.amount, c.currency, c.customer_id, c.phone_e164,
    c.email, c.description, c.order_id, c.is_medical, c.state, c.changed_at
"""


@dataclass(frozen=True, slots=True)
class TransactionChange:
    """One version of one sale."""

    position: int
    project_id: str
    external_id: str
    crm: str
    occurred_at: datetime
    amount: Decimal
    currency: str | None
    customer_id: str | None
    phone_e164: str | None
    email: str | None
    description: str | None
    order_id: str | None
    is_medical: bool
    state: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    delivery_id: int
    subscription_id: str
    position: int
    attempts: int
    """With the one that begins now."""


async def read_changes(
    connection: Connection, subscription: SubscriptionRow, after: int, limit: int
) -> list[TransactionChange]:
    """What the subscription may read, in the order of commits, after a position."""
    async with connection.cursor(row_factory=class_row(TransactionChange)) as cursor:
        await cursor.execute(
            f"""
            select {_COLUMNS}
            from core.transaction_changes as c
            where c.position > %(after)s
                and (%(projects)s::text[] is null or c.project_id = any(%(projects)s))
                and (%(medical)s or not c.is_medical)
            order by c.position
            limit %(limit)s
            """,  # noqa: S608
            {
                "after": after,
                "projects": subscription.project_ids,
                "medical": subscription.is_medical,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def plan_deliveries(connection: Connection, limit: int = 5000) -> int:
    """Make deliveries of what has changed since, for every enabled subscription with an address. How many."""
    cursor = await connection.execute(
        """
        with due as materialized (
            select subscription_id, project_ids, is_medical, position
            from config.subscriptions
            where url is not null and is_enabled
                and position < (select coalesce(max(position), 0) from core.transaction_changes)
            for update skip locked
        ),
        fresh as materialized (
            select due.subscription_id, due.project_ids, due.is_medical, c.position, c.project_id, c.external_id,
                c.is_medical as is_health_data
            from due
            cross join lateral (
                select position, project_id, external_id, is_medical
                from core.transaction_changes
                where position > due.position
                order by position
                limit %(limit)s
            ) as c
        ),
        moved as (
            update config.subscriptions as s
            set position = reached.position
            from (select subscription_id, max(position) as position from fresh group by subscription_id) as reached
            where s.subscription_id = reached.subscription_id
        )
        insert into sync.deliveries (subscription_id, position, project_id, external_id)
        select subscription_id, position, project_id, external_id
        from fresh
        where (project_ids is null or project_id = any(project_ids)) and (is_medical or not is_health_data)
        order by position
        """,
        {"limit": limit},
    )
    return cursor.rowcount


async def claim_deliveries(connection: Connection, limit: int, lease_seconds: float) -> list[Delivery]:
    """Deliveries that are due, the oldest of each sale only; nobody else gets them before the lease ends."""
    async with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        await cursor.execute(
            """
            update sync.deliveries as d
            set attempts = d.attempts + 1, not_before = clock_timestamp() + %(lease)s * interval '1 second'
            from (
                select w.delivery_id
                from sync.deliveries as w
                join config.subscriptions as s on s.subscription_id = w.subscription_id and s.is_enabled
                where w.state = 'waiting' and w.not_before <= clock_timestamp()
                    and not exists (
                        select from sync.deliveries as earlier
                        where earlier.subscription_id = w.subscription_id and earlier.project_id = w.project_id
                            and earlier.external_id = w.external_id and earlier.position < w.position
                            and earlier.state = 'waiting'
                    )
                order by w.not_before, w.delivery_id
                limit %(limit)s
                for update of w skip locked
            ) as due
            where d.delivery_id = due.delivery_id
            returning d.delivery_id, d.subscription_id, d.position, d.attempts
            """,
            {"limit": limit, "lease": lease_seconds},
        )
        return sorted(await cursor.fetchall(), key=lambda delivery: delivery.delivery_id)


async def load_changes(connection: Connection, positions: Sequence[int]) -> dict[int, TransactionChange]:
    """Versions by position."""
    async with connection.cursor(row_factory=class_row(TransactionChange)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from core.transaction_changes as c where c.position = any(%s)",  # noqa: S608
            [list(positions)],
        )
        return {change.position: change for change in await cursor.fetchall()}


async def finish_delivery(
    connection: Connection, delivery_id: int, state: str, *, status: int | None, error: str | None = None
) -> None:
    """`state`: sent or failed."""
    await connection.execute(
        """
        update sync.deliveries
        set state = %s, last_status = %s, last_error = %s, finished_at = clock_timestamp()
        where delivery_id = %s
        """,
        [state, status, error, delivery_id],
    )


async def postpone_delivery(
    connection: Connection, delivery_id: int, seconds: float, *, status: int | None, error: str
) -> None:
    await connection.execute(
        """
        update sync.deliveries
        set not_before = clock_timestamp() + %s * interval '1 second', last_status = %s, last_error = %s
        where delivery_id = %s
        """,
        [seconds, status, error, delivery_id],
    )


async def send_again(connection: Connection, delivery_ids: Sequence[int]) -> int:
    """Let failed deliveries be due now, with all their attempts before them. How many."""
    cursor = await connection.execute(
        """
        update sync.deliveries
        set state = 'waiting', attempts = 0, not_before = '-infinity', finished_at = null
        where delivery_id = any(%s) and state = 'failed'
        """,
        [list(delivery_ids)],
    )
    return cursor.rowcount
