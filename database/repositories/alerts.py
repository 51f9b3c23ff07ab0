"""sync.alerts: what the owner of a project is told, once for each subject until it is resolved."""

from __future__ import annotations

from collections.abc import Sequence

from database.connection import Connection


async def raise_once(
    connection: Connection, project_id: str, kind: str, alerts: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Store alerts of (subject, message); those that are new."""
    if not alerts:
        return []
    cursor = await connection.execute(
        """
        insert into sync.alerts (project_id, kind, subject, message)
        select %s, %s, subject, message from unnest(%s::text[], %s::text[]) as a (subject, message)
        on conflict (project_id, kind, subject) where resolved_at is null do nothing
        returning subject, message
        """,
        [project_id, kind, [subject for subject, _ in alerts], [message for _, message in alerts]],
    )
    return [(row["subject"], row["message"]) for row in await cursor.fetchall()]


async def resolve(connection: Connection, project_id: str, kind: str, subject: str) -> bool:
    """It is over: when it happens again, it is told again. Whether an alert was open."""
    cursor = await connection.execute(
        """
        update sync.alerts set resolved_at = clock_timestamp()
        where project_id = %s and kind = %s and subject = %s and resolved_at is null
        """,
        [project_id, kind, subject],
    )
    return cursor.rowcount > 0
