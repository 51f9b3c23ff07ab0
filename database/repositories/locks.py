"""Advisory locks by name: they go away with the session that holds them, so a killed process blocks nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from database.connection import Connection, Pool, connect

PREFIX = "crm_elt."


@asynccontextmanager
async def own_connection(pool: Pool) -> AsyncIterator[Connection]:
    """A connection outside the pool, for work that holds it for minutes: it must not starve short work.

    Its locks go when the block ends.
    """
    assert isinstance(pool.conninfo, str)  # as database.connection.open_pool makes them
    async with await connect(pool.conninfo, application="crm-elt lock") as connection:
        yield connection


async def try_session(connection: Connection, name: str) -> bool:
    """Take a lock until `release`, or until the session ends. False if somebody else holds it."""
    return await _flag(connection, "select pg_try_advisory_lock(hashtextextended(%s, 0)) as flag", name)


async def release(connection: Connection, name: str) -> None:
    """Give back what `try_session` took."""
    await _flag(connection, "select pg_advisory_unlock(hashtextextended(%s, 0)) as flag", name)


async def try_transaction(connection: Connection, name: str) -> bool:
    """Take a lock until the transaction ends. False if somebody else holds it."""
    return await _flag(connection, "select pg_try_advisory_xact_lock(hashtextextended(%s, 0)) as flag", name)


async def wait_transaction(connection: Connection, name: str) -> None:
    """Wait for a lock and keep it until the transaction ends."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [PREFIX + name])


async def _flag(connection: Connection, statement: str, name: str) -> bool:
    cursor = await connection.execute(statement, [PREFIX + name])
    row = await cursor.fetchone()
    assert row is not None
    return bool(row["flag"])
