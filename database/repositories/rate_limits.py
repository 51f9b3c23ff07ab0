"""sync.rate_limits: one sliding window per CRM account, shared by all processes, on the server's clock."""

from __future__ import annotations

import asyncio

from database.connection import Connection, Pool

MARGIN_SHARE = 0.005
"""Share of the window that a slot is set later than the limit demands: callers do not wake to the microsecond."""
MARGIN_LEAST = 0.02
"""Seconds, at least."""


_Asked = tuple[str, tuple[int, float]]
"""Account and limit."""


class PostgresRateLimiter:
    """Implements connectors.http.RateLimiter.

    At most `requests` slots of an account lie in any window of `per_seconds`. A slot is reserved in one short
    transaction; the caller sleeps until it has come, holding no connection. Those who ask while a transaction is under
    way share the next one, as long as there are slots for all of them at once.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asking: dict[_Asked, list[asyncio.Future[bool]]] = {}
        """Who waits for the next transaction, while one is under way."""
        self._sharing: set[asyncio.Task[None]] = set()

    async def acquire(self, account_key: str, limit: tuple[int, float]) -> None:
        """Return when the account may be asked once more."""
        asked = (account_key, limit)
        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if asked in self._asking:
            self._asking[asked].append(granted)
        else:
            self._asking[asked] = [granted]
            task = asyncio.create_task(self._share(asked))
            self._sharing.add(task)
            task.add_done_callback(self._sharing.discard)
        if not await granted:
            await self._acquire_alone(account_key, limit)

    async def _share(self, asked: _Asked) -> None:
        """Answer all who ask, until nobody does."""
        together: list[asyncio.Future[bool]] = []
        try:
            while together := self._asking[asked]:
                self._asking[asked] = []
                async with self._pool.connection() as connection:
                    is_granted = await reserve_at_once(connection, *asked, len(together))
                for future in together:
                    if not future.done():
                        future.set_result(is_granted)
        except Exception as error:  # noqa: BLE001 - handed over to those who wait
            for future in (*together, *self._asking[asked]):
                if not future.done():
                    future.set_exception(error)
        finally:
            del self._asking[asked]

    async def _acquire_alone(self, account_key: str, limit: tuple[int, float]) -> None:
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
    parameters = {"account": account_key, "requests": limit[0], "window": _window(limit)}
    wait = await _reserve_known(connection, parameters)
    if wait is None:
        await connection.execute(
            "insert into sync.rate_limits (account_key) values (%s) on conflict (account_key) do nothing", [account_key]
        )
        wait = await _reserve_known(connection, parameters)
        assert wait is not None
    return wait


async def reserve_at_once(connection: Connection, account_key: str, limit: tuple[int, float], count: int) -> bool:
    """Reserve that many slots if all of them are free now; else none."""
    cursor = await connection.execute(
        """
        update sync.rate_limits
        set granted = granted[
                1 + width_bucket(clock_timestamp() - %(window)s::float8 * interval '1 second', granted):
            ] || array_fill(clock_timestamp(), array[%(count)s::integer]),
            updated_at = clock_timestamp()
        where account_key = %(account)s
            and blocked_until <= clock_timestamp()
            and coalesce(granted[cardinality(granted)] <= clock_timestamp(), true)
            and %(count)s + cardinality(granted)
                - width_bucket(clock_timestamp() - %(window)s::float8 * interval '1 second', granted) <= %(requests)s
        """,
        {"account": account_key, "requests": limit[0], "window": _window(limit), "count": count},
    )
    return cursor.rowcount == 1


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


def _window(limit: tuple[int, float]) -> float:
    return limit[1] + max(MARGIN_LEAST, MARGIN_SHARE * limit[1])
