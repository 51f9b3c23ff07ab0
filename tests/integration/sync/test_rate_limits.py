from __future__ import annotations

import asyncio
import time

import pytest

from database.connection import Connection, open_pool
from database.repositories import rate_limits
from database.repositories.rate_limits import PostgresRateLimiter

pytestmark = pytest.mark.anyio


def most_in_window(times: list[float], seconds: float) -> int:
    times = sorted(times)
    return max(sum(1 for other in times if start <= other < start + seconds) for start in times)


async def test_two_pools_together_never_exceed_the_limit_in_any_window(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = (8, 0.5)
    times: list[float] = []
    late: list[float] = []
    slots: dict[object, float] = {}
    shared = [0.0]
    reserve, reserve_at_once = rate_limits.reserve, rate_limits.reserve_at_once

    async def noted(connection: Connection, account_key: str, limit: tuple[int, float]) -> float:
        began = time.monotonic()
        wait = await reserve(connection, account_key, limit)
        slots[asyncio.current_task()] = began + max(wait, 0)
        return wait

    async def noted_at_once(connection: Connection, account_key: str, limit: tuple[int, float], count: int) -> bool:
        shared.append(time.monotonic())
        return await reserve_at_once(connection, account_key, limit, count)

    monkeypatch.setattr(rate_limits, "reserve", noted)
    monkeypatch.setattr(rate_limits, "reserve_at_once", noted_at_once)
    async with open_pool(database_url) as one, open_pool(database_url) as two:

        async def work(limiter: PostgresRateLimiter) -> None:
            for _ in range(7):
                await limiter.acquire("account", limit)
                times.append(time.monotonic())
                late.append(times[-1] - slots.pop(asyncio.current_task(), shared[-1]))

        started = time.monotonic()
        limiters = [PostgresRateLimiter(pool) for pool in (one, two)]
        await asyncio.wait_for(asyncio.gather(*(work(limiter) for limiter in limiters for _ in range(3))), 60)
        elapsed = time.monotonic() - started
    assert len(times) == 42
    # The slots are exact; who wakes late, on a busy machine, pushes two slots together by that much.
    assert most_in_window(times, limit[1] - max(0.02, *late)) <= limit[0]
    assert 5 * limit[1] <= elapsed < 6 * limit[1] + 1 + max(late)  # and the limit is used


async def test_the_slots_themselves_are_an_exact_sliding_window(database_url: str) -> None:
    limit = (5, 2.0)
    async with open_pool(database_url, max_size=6) as pool:
        slots: list[float] = []

        async def reserve() -> None:
            async with pool.connection() as connection:
                for _ in range(10):
                    await rate_limits.reserve(connection, "account", limit)
                    cursor = await connection.execute(
                        "select extract(epoch from granted[cardinality(granted)])::float8 as slot,"
                        " cardinality(granted) as n from sync.rate_limits where account_key = 'account'"
                    )
                    row = await cursor.fetchone()
                    assert row is not None
                    assert row["n"] <= limit[0]
                    slots.append(row["slot"])

        await asyncio.gather(*(reserve() for _ in range(3)))
    assert most_in_window(sorted(set(slots)), limit[1]) <= limit[0]


async def test_slots_that_are_reserved_together_count_one_by_one(database_url: str) -> None:
    limit = (5, 30.0)
    async with open_pool(database_url) as pool, pool.connection() as connection:
        assert not await rate_limits.reserve_at_once(connection, "account", limit, 1), "the account is not known yet"
        assert await rate_limits.reserve(connection, "account", limit) <= 0
        assert await rate_limits.reserve_at_once(connection, "account", limit, 3)
        assert not await rate_limits.reserve_at_once(connection, "account", limit, 2), "one is left"
        assert await rate_limits.reserve_at_once(connection, "account", limit, 1)
        assert not await rate_limits.reserve_at_once(connection, "account", limit, 1)
        assert 29 < await rate_limits.reserve(connection, "account", limit) < 31
        await rate_limits.block(connection, "other", 60.0)
        assert not await rate_limits.reserve_at_once(connection, "other", limit, 1), "the CRM has blocked it"


async def test_those_who_ask_at_the_same_time_share_a_transaction(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    reserve_at_once = rate_limits.reserve_at_once

    async def noted(connection: Connection, account_key: str, limit: tuple[int, float], count: int) -> bool:
        counts.append(count)
        return await reserve_at_once(connection, account_key, limit, count)

    monkeypatch.setattr(rate_limits, "reserve_at_once", noted)
    async with open_pool(database_url) as pool:
        limiter = PostgresRateLimiter(pool)
        await limiter.acquire("account", (100, 30.0))
        counts.clear()
        await asyncio.gather(*(limiter.acquire("account", (100, 30.0)) for _ in range(12)))
        assert sum(counts) == 12
        assert len(counts) < 12
        async with pool.connection() as connection:
            cursor = await connection.execute("select cardinality(granted) as n from sync.rate_limits")
            assert await cursor.fetchone() == {"n": 13}


async def test_accounts_do_not_share_a_limit(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        limiter = PostgresRateLimiter(pool)
        started = time.monotonic()
        for number in range(5):
            await limiter.acquire(f"account {number}", (1, 60.0))
        assert time.monotonic() - started < 5


async def test_a_blocked_account_waits_even_for_slots_that_were_given_before(database_url: str) -> None:
    async with open_pool(database_url) as pool:
        limiter = PostgresRateLimiter(pool)
        await limiter.acquire("account", (1, 0.3))
        started = time.monotonic()
        waiting = asyncio.create_task(limiter.acquire("account", (1, 0.3)))
        await limiter.block("account", 1.0)
        await limiter.block("account", 0.1)  # a shorter block does not end a longer one
        await waiting
        assert 0.98 <= time.monotonic() - started < 3


async def test_a_smaller_limit_than_before_is_kept_at_once(database_url: str) -> None:
    async with open_pool(database_url) as pool, pool.connection() as connection:
        for _ in range(10):
            assert await rate_limits.reserve(connection, "account", (10, 30.0)) <= 0
        wait = await rate_limits.reserve(connection, "account", (2, 30.0))
        assert 29 < wait < 31
        cursor = await connection.execute("select cardinality(granted) as n from sync.rate_limits")
        assert await cursor.fetchone() == {"n": 2}
