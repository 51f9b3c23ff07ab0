"""sync.rate_limits: one sliding window per CRM account, shared by all processes, on the server's clock."""

from __future__ import annotations

import asyncio

from database.connection import Connection, Pool

MARGIN_SHARE = 0.005
"""Share of the window that a slot is set later than the limit demands: callers do not wake to the microsecond."""
MARGIN_LEAST = 0.02
"""Seconds, at least."""


class PostgresRateLimiter:
    """Implements connectors.http.RateLimiter.

    At most `requests` slots of an account lie in any window of `per_seconds`. A slot is reserved in one short
    transaction; the caller sleeps until it has come, holding no connection.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def acquire(self, account_key: str, limit: tuple[int, float]) -> None:
        """Return when the account may be asked once more."""
        while True:
            async with self._pool.connection() as connection:
                wait = await reserve(connection, account_key, limit)
            if wait <= 0:
                return
            await asyncio.sleep(wait)
            # The CRM may have refused somebody else meanwhile: then this slot does not count either.
            async with self._pool.connection() as connection:
                if not await is_blocked(connection, account_key):
                    return

    async def block(self, account_key: str, seconds: float) -> None:
        """Let nobody ask the account for so long: it answered 429."""
        async with self._pool.connection() as connection:
            await block(connection, account_key, seconds)


async def reserve(connection: Connection, account_key: str, limit: tuple[int, float]) -> float:
    """Reserve the account's next free slot; seconds until it comes, 0 or less if it is now."""
    requests, per_seconds = limit
    margin = max(MARGIN_LEAST, MARGIN_SHARE * per_seconds)
    parameters = {"account": account_key, "requests": requests, "window": per_seconds + margin}
    wait = await _reserve_known(connection, parameters)
    if wait is None:
        await connection.execute(
            "insert into sync.rate_limits (account_key) values (%s) on conflict (account_key) do nothing", [account_key]
        )
        wait = await _reserve_known(connection, parameters)
        assert wait is not None
    return wait


async def _reserve_known(connection: Connection, parameters: dict[str, object]) -> float | None:
    # All in expressions on the row itself: whoever waited for the row's lock computes on what the other has written.
    # Kept are as many slots as the limit looks back upon, and of those none that lies before the window.
    cursor = await connection.execute(
        """
        update sync.rate_limits
        set granted = (
                granted || greatest(
                    clock_timestamp(),
                    blocked_until,
                    granted[cardinality(granted)],
                    granted[cardinality(granted) - %(requests)s + 1] + %(window)s::float8 * interval '1 second'
                )
            )[
                greatest(
                    1,
                    cardinality(granted) + 2 - %(requests)s,
                    1 + width_bucket(
                        clock_timestamp() - %(window)s::float8 * interval '1 second', granted
                    )
                ):
            ],
            updated_at = clock_timestamp()
        where account_key = %(account)s
        returning extract(epoch from granted[cardinality(granted)] - clock_timestamp())::float8 as wait
        """,
        parameters,
    )
    row = await cursor.fetchone()
    return None if row is None else float(row["wait"])


async def is_blocked(connection: Connection, account_key: str) -> bool:
    cursor = await connection.execute(
        "select blocked_until > clock_timestamp() as flag from sync.rate_limits where account_key = %s", [account_key]
    )
    row = await cursor.fetchone()
    return row is not None and bool(row["flag"])


async def block(connection: Connection, account_key: str, seconds: float) -> None:
    await connection.execute(
        """
        insert into sync.rate_limits as stored (account_key, blocked_until)
        values (%(account)s, clock_timestamp() + %(seconds)s::float8 * interval '1 second')
        on conflict (account_key) do update
            set blocked_until = greatest(stored.blocked_until, excluded.blocked_until), updated_at = clock_timestamp()
        """,
        {"account": account_key, "seconds": seconds},
    )
