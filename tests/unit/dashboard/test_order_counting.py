"""Counts that are shared for a moment."""

from __future__ import annotations

import asyncio

import pytest

from dashboard.orders.counting import Counting
from database.repositories.order_counts import Counts
from database.repositories.orders import Filter

pytestmark = pytest.mark.anyio


class Database:
    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def count(self) -> Counts:
        self.asked += 1
        asked = self.asked
        await self.answers.wait()
        if self.is_away:
            raise ConnectionError("away")
        return Counts(asked, 0, 0, 0)


async def test_who_asks_for_the_same_gets_the_same_until_it_is_old() -> None:
    time, database = [0.0], Database()
    counting = Counting(2.0, lambda: time[0])
    assert (await counting.counts(Filter(), database.count)).orders == 1
    assert (await counting.counts(Filter(), database.count)).orders == 1
    assert (await counting.counts(Filter(projects=["a"]), database.count)).orders == 2
    time[0] = 2.0
    assert (await counting.counts(Filter(), database.count)).orders == 3


async def test_many_at_once_ask_the_database_once_even_if_the_first_goes_away() -> None:
    database, counting = Database(), Counting()
    database.answers.clear()
    first, *others = (asyncio.ensure_future(counting.counts(Filter(), database.count)) for _ in range(5))
    await asyncio.sleep(0)
    first.cancel()
    database.answers.set()
    assert [found.orders for found in await asyncio.gather(*others)] == [1] * 4
    assert database.asked == 1


async def test_a_failure_is_not_kept() -> None:
    database, counting = Database(), Counting()
    database.is_away = True
    with pytest.raises(ConnectionError):
        await counting.counts(Filter(), database.count)
    database.is_away = False
    assert (await counting.counts(Filter(), database.count)).orders == 2
