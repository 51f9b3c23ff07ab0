"""Group commit: webhooks that arrive side by side share one statement and one commit.

A request hands in its row and waits for a future; a writer takes all rows that wait, lands them in one transaction and
then answers each with its own event id. Nothing is answered before it is durable. If the database is away, rows wait
for at most `wait_seconds` and are then answered as not landed; the writers reconnect by themselves.

A row may be landed twice if the connection breaks between commit and answer: raw keeps both, core stores one event.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from database.connection import Connection
from database.repositories import landing
from database.repositories.landing import DATA_ERRORS, RejectedRow, WebhookRow
from ingest_api.metrics import Metrics

GROUP_BYTES = 4 * 1024 * 1024
"""Most bytes of bodies in one statement (a larger single body goes alone)."""
QUEUE_BYTES = 64 * 1024 * 1024
"""Most bytes of bodies that may wait."""
PROJECT_SHARE = 0.5
"""Part of the queue that one project may fill, so that a flood of one leaves room for the others."""
_SECOND_WRITER_AT = 200
"""Rows that must wait before a second writer joins: below, one writer with fuller groups is faster."""
_LONGEST_BACKOFF = 1.0
_SWEEP_SECONDS = 0.1

log = structlog.get_logger()


class LandingError(Exception):
    """A row is not landed. The message is one sentence."""


class DatabaseAwayError(LandingError):
    """The database did not take the row in time, or the server is stopping."""


class QueueFullError(LandingError):
    """Too much waits already."""


class ProjectBusyError(LandingError):
    """Too much of this project waits already."""


class RowRefusedError(LandingError):
    """The database refuses the row itself; it is kept in raw.rejected, and the message says why."""


class _Waiting(NamedTuple):
    row: WebhookRow | RejectedRow
    size: int
    since: float
    answer: asyncio.Future[int]


class GroupCommit:
    """The queue and its writers. `connect` opens a connection of their own; it is called again after a failure."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        *,
        group_limit: int,
        queue_limit: int,
        wait_seconds: float,
        metrics: Metrics,
        writers: int = 2,
    ) -> None:
        self._connect = connect
        self._group_limit = group_limit
        self._queue_limit = queue_limit
        self._project_limit = max(1, int(queue_limit * PROJECT_SHARE))
        self._wait_seconds = wait_seconds
        self._second_writer_at = min(_SECOND_WRITER_AT, group_limit)
        self._metrics = metrics
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._by_project: Counter[str] = Counter()
        self._wakes = [asyncio.Event() for _ in range(writers)]
        self._in_flight: list[Sequence[_Waiting]] = [() for _ in range(writers)]
        self._first_sleeps = False
        self._is_closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._time = time.monotonic
        metrics.waiting = lambda: self.waiting
        metrics.waiting_bytes = lambda: self._bytes

    @property
    def waiting(self) -> int:
        """Rows handed in and not answered yet."""
        return len(self._queue) + sum(len(group) for group in self._in_flight)

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= self._queue_limit or self._bytes >= QUEUE_BYTES

    def start(self) -> None:
        """Start the writers; needs a running event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._write(number)) for number in range(len(self._wakes))]
        self._tasks.append(loop.create_task(self._sweep()))

    async def close(self) -> None:
        """Take nothing more, land what waits (for at most `wait_seconds`), end the writers."""
        self._is_closing = True
        if waiting := [*self._queue, *(waiting for group in self._in_flight for waiting in group)]:
            await asyncio.wait([one.answer for one in waiting], timeout=self._wait_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._give_up([*self._queue, *(waiting for group in self._in_flight for waiting in group)])
        self._queue.clear()

    def submit(self, row: WebhookRow | RejectedRow, size: int) -> asyncio.Future[int]:
        """Hand in a row; `size` is its body's in bytes. The future's result is its id in raw.

        Raises DatabaseAwayError, QueueFullError or ProjectBusyError at once; the future may also fail with
        DatabaseAwayError or RowRefusedError.
        """
        if self._is_closing:
            raise DatabaseAwayError("The server is stopping; send it again in a moment.")
        queue = self._queue
        if len(queue) >= self._queue_limit or self._bytes + size > QUEUE_BYTES:
            raise QueueFullError("Too many webhooks wait for the database; send it again in a moment.")
        project_id = row[0]
        by_project = self._by_project
        if by_project[project_id] >= self._project_limit:
            raise ProjectBusyError("Too many webhooks of this project wait; send it again in a moment.")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        queue.append(_Waiting(row, size, self._time(), answer))
        self._bytes += size
        by_project[project_id] += 1
        if self._first_sleeps:
            self._first_sleeps = False
            self._wakes[0].set()
        elif len(queue) >= self._second_writer_at:
            for wake in self._wakes[1:]:
                wake.set()
        return answer

    def _take(self) -> list[_Waiting]:
        queue, limit = self._queue, self._group_limit
        if len(queue) <= limit and self._bytes <= GROUP_BYTES:
            group = list(queue)
            queue.clear()
        else:
            group, size = [], 0
            while queue and len(group) < limit and (not group or size + queue[0].size <= GROUP_BYTES):
                waiting = queue.popleft()
                size += waiting.size
                group.append(waiting)
        self._forget(group)
        return group

    def _forget(self, group: Sequence[_Waiting]) -> None:
        """Take rows out of what is counted as queued."""
        self._bytes -= sum(waiting.size for waiting in group)
        self._by_project.subtract(waiting.row[0] for waiting in group)
        if not self._queue:
            self._by_project.clear()

    def _put_back(self, group: Sequence[_Waiting]) -> None:
        """Rows whose group failed wait on, in front."""
        left = [waiting for waiting in group if not waiting.answer.done()]
        self._queue.extendleft(reversed(left))
        self._bytes += sum(waiting.size for waiting in left)
        self._by_project.update(waiting.row[0] for waiting in left)

    async def _write(self, number: int) -> None:
        connection: Connection | None = None
        failures = 0
        wake = self._wakes[number]
        try:
            while True:
                if not self._queue:
                    wake.clear()
                    self._first_sleeps = self._first_sleeps or number == 0
                    await wake.wait()
                    continue
                group = self._in_flight[number] = self._take()
                try:
                    async with asyncio.timeout(self._wait_seconds):
                        if connection is None:
                            connection = await self._connect()
                            await landing.prepare_connection(connection)
                        await self._land(connection, group)
                except Exception as error:  # noqa: BLE001 - whatever it is, the rows wait on and the writer must live
                    self._put_back(group)
                    self._in_flight[number] = ()
                    if connection is not None:
                        await _discard(connection)
                        connection = None
                    failures += 1
                    if failures in (1, 10) or failures % 100 == 0:
                        log.warning(
                            "landing_failed", failures=failures, error=_first_line(error), kind=type(error).__name__
                        )
                    pause = min(_LONGEST_BACKOFF, 0.05 * 2 ** min(failures, 10))
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                else:
                    if failures:
                        log.info("landing_recovered", failures=failures)
                    failures = 0
                    self._in_flight[number] = ()
        finally:
            if connection is not None:
                await _discard(connection)

    async def _land(self, connection: Connection, group: Sequence[_Waiting]) -> None:
        webhooks = [waiting for waiting in group if type(waiting.row) is WebhookRow]
        if webhooks:
            await self._land_webhooks(connection, webhooks)
        if len(webhooks) < len(group):
            await self._land_rejected(connection, [waiting for waiting in group if type(waiting.row) is RejectedRow])

    async def _land_webhooks(self, connection: Connection, group: Sequence[_Waiting]) -> None:
        started = self._time()
        try:
            ids = await landing.land_webhooks(connection, [waiting.row for waiting in group])  # type: ignore[misc]
        except DATA_ERRORS as error:
            # One row spoils the statement: halve until it is alone, so that the others still land.
            if len(group) > 1:
                middle = len(group) // 2
                await self._land_webhooks(connection, group[:middle])
                await self._land_webhooks(connection, group[middle:])
            else:
                await self._keep_refused(connection, group[0], error)
            return
        metrics = self._metrics
        metrics.commit_seconds.observe(self._time() - started)
        metrics.group_size.observe(len(group))
        _answer(group, ids)

    async def _land_rejected(self, connection: Connection, group: Sequence[_Waiting]) -> None:
        for waiting in group:  # rare; one by one, so that none can spoil another's
            row = waiting.row
            assert isinstance(row, RejectedRow)
            try:
                ids = await landing.land_rejected(connection, [row])
            except DATA_ERRORS as error:
                log.warning("rejected_without_headers", project=row.project_id, error=type(error).__name__)
                plain = row._replace(headers="{}", remote_address="", content_type="")
                ids = await landing.land_rejected(connection, [plain])
            _answer([waiting], ids)

    async def _keep_refused(self, connection: Connection, waiting: _Waiting, error: Exception) -> None:
        row = waiting.row
        assert isinstance(row, WebhookRow)
        reason = f"The database refuses it: {_first_line(error)}"
        kept = RejectedRow(
            row.project_id, row.crm, reason, row.content_type, row.headers, row.remote_address,
            row.body.encode("utf-8", "surrogatepass"),
        )  # fmt: skip
        await self._land_rejected(connection, [waiting._replace(row=kept, answer=_nobody())])
        if not waiting.answer.done():
            waiting.answer.set_exception(RowRefusedError(reason))

    async def _sweep(self) -> None:
        """Answer those that have waited too long, queued or in a statement that hangs."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            oldest = self._time() - self._wait_seconds
            queue = self._queue
            while queue and (queue[0].since < oldest or queue[0].answer.done()):
                waiting = queue.popleft()
                self._forget([waiting])
                self._give_up([waiting])
            for group in self._in_flight:
                self._give_up([waiting for waiting in group if waiting.since < oldest])

    def _give_up(self, group: Sequence[_Waiting]) -> None:
        for waiting in group:
            if not waiting.answer.done():
                waiting.answer.set_exception(
                    DatabaseAwayError("The database is away; nothing was stored, send it again in a moment.")
                )


def _answer(group: Sequence[_Waiting], ids: Sequence[int]) -> None:
    for waiting, number in zip(group, ids, strict=True):
        if not waiting.answer.done():
            waiting.answer.set_result(number)


def _nobody() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()


def _first_line(error: Exception) -> str:
    """Why, without the row's values: only the first line of a server message, or the kind of a driver error."""
    if isinstance(error, UnicodeError):
        return "it holds characters that are no Unicode text"
    lines = str(error).splitlines()
    return lines[0].strip()[:200] if lines else type(error).__name__


async def _discard(connection: Connection) -> None:
    with contextlib.suppress(Exception):
        await connection.close()
