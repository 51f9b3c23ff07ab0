"""Connections for everything but landing: opened when needed, a few kept.

psycopg's pool tries again at growing intervals after an outage, so that the server would stay unready for up to minutes
after the database has come back. Here each use that finds no live connection opens one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
from psycopg.pq import TransactionStatus

from database.connection import Connection


class Connections:
    """At most `limit` at once; `connect` opens one."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], limit: int = 4) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(limit)
        self._idle: list[Connection] = []

    @contextlib.asynccontextmanager
    async def connection(self, seconds: float = 2.0) -> AsyncIterator[Connection]:
        """A live connection. Raises TimeoutError or psycopg.OperationalError within about so many seconds."""
        async with self._room:
            async with asyncio.timeout(seconds):
                connection = await self._live()
            try:
                yield connection
            except BaseException as error:
                # A request that was refused leaves the connection as it was; one that was cancelled may be in a query.
                is_usable = isinstance(error, Exception) and not connection.closed
                if is_usable and connection.info.transaction_status is TransactionStatus.IDLE:
                    self._idle.append(connection)
                else:
                    await connection.close()
                raise
            self._idle.append(connection)

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _live(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.execute("")
            except psycopg.Error:  # the server was restarted meanwhile
                await connection.close()
            except BaseException:
                await connection.close()
                raise
            else:
                return connection
        return await self._connect()
