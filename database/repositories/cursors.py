"""sync.cursors: how far each stream has been pulled. Written in the transaction that lands the records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from database.connection import Connection


async def load(connection: Connection, project_id: str, stream: str) -> Mapping[str, Any] | None:
    """The connector's own position; None if the stream was never pulled."""
    cursor = await connection.execute(
        "select cursor from sync.cursors where project_id = %s and stream = %s", [project_id, stream]
    )
    row = await cursor.fetchone()
    return None if row is None else dict(row["cursor"])


async def store(connection: Connection, project_id: str, stream: str, position: Mapping[str, Any]) -> None:
    await connection.execute(
        """
        insert into sync.cursors (project_id, stream, cursor)
        values (%s, %s, %s)
        on conflict (project_id, stream) do update set cursor = excluded.cursor, updated_at = now()
        """,
        [project_id, stream, Jsonb(dict(position))],
    )
