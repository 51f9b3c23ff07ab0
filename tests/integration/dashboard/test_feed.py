"""The feed itself: what is in memory, what is read from the database, and an older copy in the database's place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dashboard.stream import feed as feeds
from dashboard.stream.feed import Feed, FeedAwayError, Portion
from database.connection import Connection, connect
from database.repositories import stream_events
from database.repositories.stream_events import NewEvent

pytestmark = pytest.mark.anyio


class Source:
    """A feed on a database, with a count of what readers asked of it."""

    def __init__(self, url: str) -> None:
        self.url, self.reads, self.rights = url, 0, 0
        self.feed = Feed(lambda: connect(url), self.reading, self.rights_changed)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        self.reads += 1
        async with await connect(self.url) as connection:
            yield connection

    async def rights_changed(self) -> None:
        self.rights += 1

    async def publish(self, *projects: str) -> None:
        async with await connect(self.url) as connection, connection.transaction():
            await stream_events.publish(connection, [NewEvent(name, "order", "1", "crm", {}) for name in projects])

    async def execute(self, statement: str) -> None:
        async with await connect(self.url) as connection:
            await connection.execute(statement)

    async def until_head(self, head: int) -> None:
        async with asyncio.timeout(20):
            while self.feed.head < head:
                await self.feed.wait(self.feed.head, 20)


@pytest.fixture
async def source(database_url: str) -> AsyncIterator[Source]:
    made = Source(database_url)
    with pytest.raises(FeedAwayError):
        await made.feed.begin(None)
    made.feed.start()
    async with asyncio.timeout(20):
        await made.feed._changed.wait()
    yield made
    await made.feed.close()


async def everything(source: Source, cursor: int, projects: frozenset[str] | None = None) -> list[int]:
    """Ids from the cursor to the end."""
    found: list[int] = []
    while True:
        portion = await source.feed.read(cursor, projects)
        if portion.cursor == cursor:
            return found
        found += [event.event_id for event in portion.events]
        cursor = portion.cursor


async def test_new_events_come_from_memory_and_older_ones_from_the_database(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "KEPT", 4)
    monkeypatch.setattr(feeds, "PORTION", 3)
    for number in range(5):
        await source.publish("a", "b", "a", "c")
        await source.until_head(4 * (number + 1))
    assert source.reads == 0
    assert await everything(source, 16) == [17, 18, 19, 20]
    assert await everything(source, 17, frozenset({"c"})) == [20]
    assert source.reads == 0
    assert await everything(source, 0) == list(range(1, 21))
    assert await everything(source, 2, frozenset({"b", "c"})) == [4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert source.reads > 0


async def test_a_reader_of_quiet_projects_moves_on_with_the_others(source: Source) -> None:
    await source.publish("a", "a")
    await source.until_head(2)
    assert await source.feed.read(0, frozenset({"quiet"})) == Portion([], 2)


async def test_ids_that_roll_backs_have_left_out_are_no_gap(source: Source) -> None:
    async with await connect(source.url) as connection, connection.transaction(force_rollback=True):
        await stream_events.publish(connection, [NewEvent("a", "order", "1", "crm", {})] * 3)
    await source.publish("a")
    await source.until_head(4)
    assert await everything(source, 0) == [4]


async def test_an_older_copy_of_the_database_begins_a_new_epoch(source: Source) -> None:
    await source.publish("a", "a", "a")
    await source.until_head(3)
    await source.execute("truncate sync.stream_events restart identity")
    await source.publish("a")
    await source.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and query like 'listen%' and pid <> pg_backend_pid()"
        " or datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    async with asyncio.timeout(20):
        while source.feed.epoch == 0:
            await source.feed.wait(10**9, 1)
    assert source.feed.head == 1
    assert (await source.feed.begin(3)).is_reset


async def test_rights_are_looked_at_when_users_change(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "RIGHTS_SECONDS", 3600.0)
    before = source.rights
    await source.execute("notify crm_elt_users")
    async with asyncio.timeout(20):
        while source.rights == before:
            await source.feed.wait(10**9, 1)
