"""Connections to PostgreSQL: psycopg 3, asynchronous, rows as dicts, session in UTC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

_OPTIONS: dict[str, Any] = {
    "autocommit": True,  # a transaction is always explicit: `async with connection.transaction()`
    "row_factory": dict_row,
    "connect_timeout": 5,
    "options": "-c timezone=UTC",
    # A peer that vanished (host lost, firewall) is noticed in half a minute instead of hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}


async def connect(url: str, *, application: str = "crm-elt") -> Connection:
    """A single connection; close it, or use it as an asynchronous context manager."""
    return await AsyncConnection.connect(url, application_name=application, **_OPTIONS)


@asynccontextmanager
async def open_pool(
    url: str, *, min_size: int = 1, max_size: int = 4, wait_seconds: float = 30.0, application: str = "crm-elt"
) -> AsyncIterator[Pool]:
    """A pool of connections, open inside the block.

    `wait_seconds` is how many seconds a caller waits for a connection before psycopg_pool.PoolTimeout. A connection is
    checked before it is handed out, so that a restart of the server costs a retry and not an error.
    """
    pool: Pool = AsyncConnectionPool(
        url,
        min_size=min_size,
        max_size=max_size,
        timeout=wait_seconds,
        reconnect_timeout=5.0,  # the pause between attempts grows up to this; five minutes by default
        open=False,
        check=AsyncConnectionPool.check_connection,
        kwargs={**_OPTIONS, "application_name": application},
    )
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


def is_lost(error: BaseException) -> bool:
    """Whether the database is away: a connection that is lost, refused or not to be had in time. A deadlock is none."""
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57"))
