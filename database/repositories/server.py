"""Facts about the PostgreSQL server itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class ServerFacts:
    version: str
    major_version: int
    now: datetime


async def facts(connection: Connection) -> ServerFacts:
    """Version and clock of the server."""
    cursor = await connection.execute(
        """
        select
            current_setting('server_version') as version,
            current_setting('server_version_num')::integer / 10000 as major_version,
            clock_timestamp() as now
        """
    )
    row = await cursor.fetchone()
    assert row is not None
    return ServerFacts(**row)
