"""Compares the ids that a CRM lists with those that were landed from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from database.connection import Connection


async def begin(connection: Connection) -> datetime:
    """Make room for the list, for as long as the connection lives; the server's time."""
    await connection.execute("create temporary table listed_ids (crm_id text primary key)")
    cursor = await connection.execute("select clock_timestamp() as now")
    row = await cursor.fetchone()
    assert row is not None
    began: datetime = row["now"]
    return began


async def add(connection: Connection, ids: Sequence[str]) -> None:
    """Note ids that the CRM has; one may come twice."""
    await connection.execute(
        "insert into listed_ids select distinct unnest(%s::text[]) on conflict do nothing", [list(ids)]
    )


async def missing_here(connection: Connection, project_id: str, stream: str) -> list[str]:
    """Ids that the CRM has and that never landed."""
    cursor = await connection.execute(
        """
        select l.crm_id
        from listed_ids as l
        left join sync.record_hashes as h
            on h.project_id = %s and h.stream = %s and h.crm_id = l.crm_id
        where h.crm_id is null
        order by l.crm_id
        """,
        [project_id, stream],
    )
    return [row["crm_id"] for row in await cursor.fetchall()]


async def gone_there(connection: Connection, project_id: str, stream: str, landed_before: datetime) -> list[str]:
    """Ids that landed before, are not known to be deleted, and that the CRM did not list."""
    cursor = await connection.execute(
        """
        select h.crm_id
        from sync.record_hashes as h
        left join listed_ids as l on l.crm_id = h.crm_id
        where h.project_id = %s and h.stream = %s and h.updated_at < %s and l.crm_id is null
        order by h.crm_id
        """,
        [project_id, stream, landed_before],
    )
    return [row["crm_id"] for row in await cursor.fetchall()]


async def count_known(connection: Connection, project_id: str, stream: str) -> int:
    """Objects of a stream that landed and are not known to be deleted."""
    cursor = await connection.execute(
        "select count(*) as count from sync.record_hashes where project_id = %s and stream = %s", [project_id, stream]
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["count"])
