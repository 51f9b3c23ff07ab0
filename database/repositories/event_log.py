"""The event log of a project, as process-mining tools read it: one event per visit of an order to a status."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from psycopg.rows import class_row

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    order_id: str
    event_number: int
    """1 for the order's first event, and on, in the order of time"""
    status_id: str
    status_name: str | None
    status_group_id: str | None
    status_group_name: str | None
    timestamp: str
    """ISO 8601 in UTC, to the microsecond; text, because PostgreSQL knows more years than Python"""
    is_urgent: bool
    is_closing: bool
    manager_id: str | None
    """the order's manager, as the CRM says now"""


async def is_built(connection: Connection) -> bool:
    """Whether the marts that the log is read from are there."""
    cursor = await connection.execute("select to_regclass('marts.fct_order_status_intervals') is not null as flag")
    row = await cursor.fetchone()
    return bool(row and row["flag"])


async def count(connection: Connection, project_id: str) -> int:
    """How many events `read` gives."""
    cursor = await connection.execute(
        "select count(*) as count from marts.fct_order_status_intervals where project_id = %s", [project_id]
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["count"])


async def read(connection: Connection, project_id: str, *, batch: int = 5_000) -> AsyncIterator[list[LoggedEvent]]:
    """Events, order after order and each order's in time, in batches from a server-side cursor: memory stays flat.

    All of one build: the cursor does not see what is committed after it was opened. The caller owns the transaction.
    """
    async with connection.cursor(name="event_log", row_factory=class_row(LoggedEvent)) as cursor:
        await cursor.execute(
            """
            select
                intervals.order_id, intervals.interval_number as event_number, intervals.status_id,
                intervals.status_name, intervals.status_group_id, intervals.status_group_name,
                to_char(intervals.entered_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') as timestamp,
                intervals.is_urgent, intervals.is_closing, orders.manager_id
            from marts.fct_order_status_intervals as intervals
            left join core.orders
                on intervals.project_id = orders.project_id
                and intervals.order_id = orders.order_id
            where intervals.project_id = %s
            order by intervals.order_id, intervals.interval_number
            """,
            [project_id],
        )
        while events := await cursor.fetchmany(batch):
            yield events
