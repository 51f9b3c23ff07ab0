"""sync.heartbeats: which long-running processes are alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class Heartbeat:
    process: str
    instance: str
    age_seconds: float
    details: dict[str, Any]


async def beat(connection: Connection, process: str, instance: str, details: Mapping[str, Any]) -> None:
    """Say that this process is alive."""
    await connection.execute(
        """
        insert into sync.heartbeats (process, instance, details)
        values (%s, %s, %s)
        on conflict (process, instance) do update set beat_at = clock_timestamp(), details = excluded.details
        """,
        [process, instance, Jsonb(dict(details))],
    )


async def stop(connection: Connection, process: str, instance: str) -> None:
    """Forget this process, and those of its kind that died over a day ago."""
    await connection.execute(
        """
        delete from sync.heartbeats
        where process = %s and (instance = %s or beat_at < clock_timestamp() - interval '1 day')
        """,
        [process, instance],
    )


async def newest(connection: Connection, process: str) -> Heartbeat | None:
    """The last sign of life of any process of that kind."""
    cursor = await connection.execute(
        """
        select process, instance, extract(epoch from clock_timestamp() - beat_at)::float8 as age_seconds, details
        from sync.heartbeats where process = %s order by beat_at desc limit 1
        """,
        [process],
    )
    row = await cursor.fetchone()
    return None if row is None else Heartbeat(**row)
