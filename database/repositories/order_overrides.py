"""config.order_overrides: what was set by hand for one order. A trigger notes it: orders_current follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """What is None is left to the rules."""

    is_urgent: bool | None
    sla_profile: str | None
    cycle_start: str | None
    cycle_end: str | None
    reason: str | None
    updated_by: str
    updated_at: datetime


async def load(
    connection: Connection, project_id: str, order_id: str, *, for_update: bool = False
) -> OverrideRow | None:
    """`for_update`: nobody else changes it until the transaction ends."""
    cursor = await connection.execute(
        f"""
        select is_urgent, sla_profile, cycle_start, cycle_end, reason, updated_by, updated_at
        from config.order_overrides
        where project_id = %s and order_id = %s
        {"for update" if for_update else ""}
        """,  # noqa: S608
        [project_id, order_id],
    )
    row = await cursor.fetchone()
    return None if row is None else OverrideRow(**row)


async def set_urgency(
    connection: Connection, project_id: str, order_id: str, *, is_urgent: bool, reason: str, actor: str
) -> None:
    """Urgent or not, whatever the rules say; other overrides of the order stay."""
    await connection.execute(
        """
        insert into config.order_overrides as stored (project_id, order_id, is_urgent, reason, updated_by)
        values (%(project)s, %(order)s, %(urgent)s, %(reason)s, %(actor)s)
        on conflict (project_id, order_id) do update set
            is_urgent = excluded.is_urgent, reason = excluded.reason, updated_by = excluded.updated_by,
            updated_at = clock_timestamp()
        """,
        {"project": project_id, "order": order_id, "urgent": is_urgent, "reason": reason, "actor": actor},
    )


async def clear_urgency(connection: Connection, project_id: str, order_id: str, *, actor: str) -> None:
    """Leave it to the rules; a row that then says nothing goes."""
    removed = await connection.execute(
        """
        delete from config.order_overrides
        where project_id = %s and order_id = %s and num_nonnulls(sla_profile, cycle_start, cycle_end) = 0
        """,
        [project_id, order_id],
    )
    if removed.rowcount == 0:
        await connection.execute(
            """
            update config.order_overrides
            set is_urgent = null, updated_by = %s, updated_at = clock_timestamp()
            where project_id = %s and order_id = %s and is_urgent is not null
            """,
            [actor, project_id, order_id],
        )
