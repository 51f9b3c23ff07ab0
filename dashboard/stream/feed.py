"""The events of sync.stream_events as they are committed, for any number of readers over one LISTEN connection.

A reader is a cursor: the id of the last event it has seen. Ids are in the order of commits, so that "all after the
cursor" is never followed by one that was missed. The newest events are kept in memory; who is further behind reads the
database. While the database is away readers wait; nothing is lost, because what they have seen is known to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from operator import attrgetter

import psycopg
import structlog

from database.connection import Connection
from database.repositories import stream_events, users
from database.repositories.stream_events import StreamEvent

KEPT = 4096
"""Events in memory."""
PORTION = 500
POLL_SECONDS = 2.0
"""A notification may be missed; a look is cheap."""
RIGHTS_SECONDS = 5.0
"""Longest time between two looks at the rights."""
RECONNECT_SECONDS = (0.2, 2.0)

log = structlog.get_logger()
_event_id = attrgetter("event_id")


@dataclass(frozen=True, slots=True)
class Portion:
    events: list[StreamEvent]
    cursor: int
    """Of a reader who has read this."""
    is_reset: bool = False
    """Events between the cursor given and this one are gone: look at everything anew."""


class FeedAwayError(Exception):
    """The database has not been reached yet."""


class Feed:
    """`connect` opens the connection that listens; `read_connection` lends one for readers who are behind."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        read_connection: Callable[[], contextlib.AbstractAsyncContextManager[Connection]],
        rights_changed: Callable[[], Awaitable[None]],
    ) -> None:
        """`rights_changed` is called when users or sessions may have changed, before later events are given out."""
        self._connect = connect
        self._read_connection = read_connection
        self._rights_changed = rights_changed
        self._events: list[StreamEvent] = []
        self._kept_after = 0
        """All events after this id are in memory."""
        self._head: int | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._rights_seen_at = 0.0
        self.is_stopping = False
        self.epoch = 0
        """One more each time that ids began anew, as in an older copy of the database: cursors mean nothing then."""

    @property
    def head(self) -> int:
        """The newest event's id. Raises FeedAwayError."""
        if self._head is None:
            raise FeedAwayError("The database is away; ask again in a moment.")
        return self._head

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Let all readers end."""
        self.is_stopping = True
        self.wake()

    async def close(self) -> None:
        self.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Let all who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, cursor: int, seconds: float) -> None:
        """Until there may be events after the cursor, somebody woke all, or the time is over."""
        if self._head is not None and self._head > cursor:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), max(seconds, 0.0))

    async def begin(self, last_seen: int | None) -> Portion:
        """A reader's first cursor: after what it has seen, else after all there is.

        Raises FeedAwayError, and psycopg.Error or TimeoutError if the database is away.
        """
        if last_seen is None:
            return Portion([], self.head)
        if last_seen > self.head:  # of another process, which was faster
            async with self._read_connection() as connection:
                _, newest = await stream_events.bounds(connection)
            if last_seen > newest:
                return Portion([], self.head, is_reset=True)
        return Portion([], last_seen)

    async def read(self, cursor: int, projects: frozenset[str] | None) -> Portion:
        """What comes after the cursor, of these projects or of all; perhaps not all of it.

        Raises psycopg.Error or TimeoutError if it has to be read from the database, and that is away.
        """
        head = self.head
        if cursor >= head:
            return Portion([], cursor)
        if cursor < self._kept_after:
            return await self._read_database(cursor, projects, head)
        start = bisect_right(self._events, cursor, key=_event_id)
        events = self._events[start : start + PORTION]
        end = events[-1].event_id if events else head
        return Portion([event for event in events if projects is None or event.project_id in projects], end)

    async def _read_database(self, cursor: int, projects: frozenset[str] | None, head: int) -> Portion:
        async with self._read_connection() as connection:
            events = await stream_events.after(
                connection, cursor, project_ids=None if projects is None else sorted(projects), limit=PORTION
            )
            oldest, _ = await stream_events.bounds(connection)
        if oldest > cursor + 1:
            return Portion([], head, is_reset=True)
        if len(events) == PORTION:
            return Portion(events, events[-1].event_id)
        return Portion(events, max(head, events[-1].event_id if events else 0))

    async def _run(self) -> None:
        first, longest = RECONNECT_SECONDS
        pause = first
        away_since: float | None = None
        while True:
            try:
                async with await self._connect() as connection:
                    for channel in (stream_events.CHANNEL, users.CHANNEL):
                        await connection.execute(f"listen {channel}")
                    async for _ in self._signals(connection):
                        if away_since is not None:
                            log.info("stream_connected_again", away_seconds=round(time.monotonic() - away_since, 1))
                        pause, away_since = first, None
            except (psycopg.Error, OSError, TimeoutError) as error:
                if away_since is None:  # once per outage
                    away_since = time.monotonic()
                    log.warning("stream_database_away", kind=type(error).__name__)
            except Exception as error:
                log.exception("stream_failed", kind=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _signals(self, connection: Connection) -> AsyncIterator[None]:
        """Catch up, then again at each notification and once in a while."""
        await self._look_at_rights()
        await self._find_head(connection)
        while True:
            await self._catch_up(connection)
            yield
            heard = set()
            async for notification in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                heard.add(notification.channel)
            if users.CHANNEL in heard or time.monotonic() - self._rights_seen_at > RIGHTS_SECONDS:
                await self._look_at_rights()

    async def _look_at_rights(self) -> None:
        self._rights_seen_at = time.monotonic()
        await self._rights_changed()
        self.wake()

    async def _find_head(self, connection: Connection) -> None:
        oldest, newest = await stream_events.bounds(connection)
        if self._head is not None:
            if newest < self._head:  # an older copy of the database was put in its place
                log.warning("stream_went_back", newest=newest, known=self._head)
                self.epoch += 1
            elif oldest <= self._head + 1:
                return  # what was missed follows
        self._events.clear()
        self._head = self._kept_after = newest
        self.wake()

    async def _catch_up(self, connection: Connection) -> None:
        assert self._head is not None
        while events := await stream_events.after(connection, self._head, limit=PORTION):
            self._events += events
            if len(self._events) > 2 * KEPT:
                self._kept_after = self._events[-KEPT - 1].event_id
                del self._events[:-KEPT]
            self._head = events[-1].event_id
            self.wake()
