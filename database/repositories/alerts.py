"""sync.alerts: what the owner of a project is told, once for each subject."""

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
        on conflict (project_id, kind, subject) do nothing
        returning subject, message
        """,
        [project_id, kind, [subject for subject, _ in alerts], [message for _, message in alerts]],
    )
    return [(row["subject"], row["message"]) for row in await cursor.fetchall()]
