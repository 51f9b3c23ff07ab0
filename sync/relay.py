"""The fast lane: one process that LISTENs, brings what lands into core within a second, and keeps the order table up.

Every loop also polls, because a notification may be missed while a connection is down. Nothing is kept in memory that
is not in the database, so the process may be killed at any time, and several may run side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections import Counter
from dataclasses import dataclass, field

import psycopg
import structlog
from psycopg import sql

from connectors import registry
from database.connection import Pool, connect, open_pool
from database.encryption import Keyring
from database.repositories import heartbeats, queue, run_days, webhook_statistics
from database.repositories import requests as request_rows
from sync import csv_import
from sync.deliveries import send_due
from sync.failed_records import retry_due
from sync.live import fold_waiting
from sync.normalise import drain
from sync.projects import Lookup
from sync.requests import run_together
from sync.retention import Keep, forget_two_way
from sync.two_way import inbound_loop, outbound

POLL_SECONDS = 2.0
BUSY_SECONDS = 0.1
"""Until a project is tried again that somebody else was writing."""
BEAT_SECONDS = 5.0
RETRY_LOOK_SECONDS = 5.0
"""How often failed records are looked at whose time to be tried again has come."""
FOLD_SECONDS = 1.0
"""Least time between foldings: what waits is right meanwhile, only slower to read."""
FAILURE_SECONDS = (0.5, 30.0)
"""First and longest wait of a project whose rows cannot be written."""
FORGET_SECONDS = 3600.0
COUNT_SECONDS = 60.0
RECONNECT_SECONDS = (0.2, 5.0)
MAX_DRAINS = 4
MAX_REQUESTS = 6
MAX_REQUESTS_OF_PROJECT = 3
"""A slow CRM must not keep the others' requests waiting."""
REREADS_AT_ONCE = 20
"""Objects of one stream that are asked for together: what comes is landed and applied at once."""
GRACE_SECONDS = 10.0
"""For requests that are under way when the process is told to stop."""
MAX_PUSHES = 10
"""Connections kept for what is written down of changes that were sent to CRMs."""
RAW_CHANNEL, REQUEST_CHANNEL = "crm_elt_raw", "crm_elt_requests"

_log = structlog.get_logger(__name__)


async def run(
    pool_url: str,
    keyring: Keyring,
    *,
    stop: asyncio.Event,
    lookup: Lookup = registry.get,
    instance: str | None = None,
    keep: Keep = Keep(),  # noqa: B008 - it cannot be changed
) -> None:
    """Relay until `stop` is set, then finish what is under way.

    If the database goes away it is waited for, however long; any other error that the loops do not expect is raised.
    """
    name = instance or f"{socket.gethostname()}:{os.getpid()}"
    pause = RECONNECT_SECONDS[0]
    is_away = False
    while not stop.is_set():
        relay = _Relay(pool_url, keyring, stop, lookup, name, keep)
        try:
            await relay.run(was_away=is_away)
        except* (psycopg.OperationalError, psycopg.InterfaceError) as group:
            # Lost, refused and timed-out connections, of the pool too.
            if relay.has_worked:
                pause, is_away = RECONNECT_SECONDS[0], False
            if not is_away:
                _log.warning("database_away", process="relay", error=_first_line(group))
                is_away = True
        if stop.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause * random.uniform(0.8, 1.2))  # noqa: S311
        pause = min(pause * 2, RECONNECT_SECONDS[1])


@dataclass
class _Relay:
    """One connected life of the process."""

    url: str
    keyring: Keyring
    stop: asyncio.Event
    lookup: Lookup
    instance: str
    keep: Keep
    has_worked: bool = False
    raw_wake: asyncio.Event = field(default_factory=asyncio.Event)
    request_wake: asyncio.Event = field(default_factory=asyncio.Event)
    fold_wake: asyncio.Event = field(default_factory=asyncio.Event)
    delivery_wake: asyncio.Event = field(default_factory=asyncio.Event)
    inbound_wake: asyncio.Event = field(default_factory=asyncio.Event)
    outbox_wake: asyncio.Event = field(default_factory=asyncio.Event)
    draining: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    running: Counter[str] = field(default_factory=Counter)
    """Requests under way by project."""
    rows: int = 0
    events: int = 0
    requests: int = 0
    folded: int = 0
    sender: outbound.Outbound | None = None

    async def run(self, *, was_away: bool) -> None:
        pool_size = MAX_DRAINS + 2 * MAX_REQUESTS + inbound_loop.MAX_PROJECTS + MAX_PUSHES + 4
        async with open_pool(self.url, max_size=pool_size, wait_seconds=5.0, application="crm-elt relay") as pool:
            async with pool.connection() as connection:
                await heartbeats.beat(connection, "relay", self.instance, {})
            _log.info("relay_connected" if was_away else "relay_started", instance=self.instance)
            self.has_worked = True
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._drain_loop(pool))
                tasks.create_task(self._request_loop(pool))
                tasks.create_task(self._fold_loop(pool))
                tasks.create_task(self._retry_loop(pool))
                tasks.create_task(self._delivery_loop(pool))
                tasks.create_task(self._inbound_loop(pool))
                tasks.create_task(self._outbox_loop(pool))
                tasks.create_task(self._upload_loop(pool))
                tasks.create_task(self._beat_loop(pool))
                tasks.create_task(self._forget_loop(pool))
                tasks.create_task(self._count_loop(pool))
            async with pool.connection() as connection:
                await heartbeats.stop(connection, "relay", self.instance)
            _log.info("relay_stopped", instance=self.instance, rows=self.rows, events=self.events)

    async def _listen(self) -> None:
        async with await connect(self.url, application="crm-elt relay listen") as connection:
            for channel in self._wakes:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            self._wake()  # for what landed before we listened
            while not self.stop.is_set():
                waiting = asyncio.create_task(self._next_notifications(connection))
                stopping = asyncio.create_task(self.stop.wait())
                try:
                    await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                    if waiting.done():
                        waiting.result()
                finally:
                    for task in (waiting, stopping):
                        task.cancel()
                    await asyncio.gather(waiting, stopping, return_exceptions=True)

    async def _next_notifications(self, connection: psycopg.AsyncConnection[dict[str, object]]) -> None:
        """Wait for notifications, and wake whom they concern; everybody once in a while."""
        heard = False
        async for notification in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
            heard = True
            self._wakes[notification.channel].set()
        if not heard:
            await connection.execute("select 1")  # notices a connection that is gone
            self._wake()

    @property
    def _wakes(self) -> dict[str, asyncio.Event]:
        return {
            RAW_CHANNEL: self.raw_wake,
            REQUEST_CHANNEL: self.request_wake,
            inbound_loop.CHANNEL: self.inbound_wake,
            outbound.CHANNEL: self.outbox_wake,
        }

    def _wake(self) -> None:
        for wake in (*self._wakes.values(), self.fold_wake, self.delivery_wake):
            wake.set()

    async def _drain_loop(self, pool: Pool) -> None:
        async with asyncio.TaskGroup() as tasks:
            while await self._woken(self.raw_wake):
                if len(self.draining) >= MAX_DRAINS:
                    continue  # each of them wakes this loop when it ends
                async with pool.connection() as connection:
                    projects = await queue.due_projects(connection, real_time_only=True)
                for project_id in projects:
                    if project_id not in self.draining and len(self.draining) < MAX_DRAINS:
                        self.draining.add(project_id)
                        tasks.create_task(self._drain(pool, project_id))

    async def _drain(self, pool: Pool, project_id: str) -> None:
        """Drain one project. A project that fails waits longer each time and does not stop the others."""
        pause = 0.0
        try:
            result = await drain(pool, project_id, stop=self.stop.is_set, lookup=self.lookup)
            self.rows += result.rows
            self.events += result.events
            self.failures.pop(project_id, None)
            self.fold_wake.set()
            self.delivery_wake.set()
            if result.busy:
                pause = BUSY_SECONDS
        except psycopg.OperationalError as error:
            if error.sqlstate is None or error.sqlstate.startswith(("08", "57")):
                raise  # the database is away: start anew
            pause = self._drain_failed(project_id, error)
        except Exception as error:  # noqa: BLE001 - one project's trouble must not stop the others
            pause = self._drain_failed(project_id, error)
        if pause:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), pause)
        self.draining.discard(project_id)
        self.raw_wake.set()  # it may have landed more after the last look, or others may wait for the place

    def _drain_failed(self, project_id: str, error: Exception) -> float:
        self.failures[project_id] += 1
        first, longest = FAILURE_SECONDS
        pause = min(longest, first * 2.0 ** (self.failures[project_id] - 1))
        _log.error("drain_failed", project_id=project_id, exc_info=error, next_try_seconds=pause)
        return pause

    async def _fold_loop(self, pool: Pool) -> None:
        """Orders written by anybody: the wake-ups are of our own drains, and of polling."""
        pause = FOLD_SECONDS
        while await self._woken(self.fold_wake):
            try:
                self.folded += await fold_waiting(pool, stop=self.stop.is_set)
                pause = FOLD_SECONDS
            except psycopg.OperationalError as error:
                if error.sqlstate is None or error.sqlstate.startswith(("08", "57")):
                    raise  # the database is away: start anew
                pause = self._fold_failed(pause, error)
            except psycopg.Error as error:
                pause = self._fold_failed(pause, error)  # the next build shows what was not folded
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), pause)

    @staticmethod
    def _fold_failed(pause: float, error: psycopg.Error) -> float:
        pause = min(pause * 2, FAILURE_SECONDS[1])
        _log.error("fold_failed", exc_info=error, next_try_seconds=pause)
        return pause

    async def _request_loop(self, pool: Pool) -> None:
        under_way: set[asyncio.Task[None]] = set()
        try:
            while await self._woken(self.request_wake):
                async with pool.connection() as connection:
                    await request_rows.requeue_dead(connection)
                under_way = {task for task in under_way if not _reap(task)}
                while len(under_way) < MAX_REQUESTS and (started := await self._start_request(pool)):
                    under_way.add(started)
            if under_way:
                await asyncio.wait(under_way, timeout=GRACE_SECONDS)
        finally:
            for task in under_way:
                task.cancel()  # the request is taken up by the next process
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _start_request(self, pool: Pool) -> asyncio.Task[None] | None:
        """Claim a request, with others like it, and begin; None if none is due."""
        saturated = [project for project, count in self.running.items() if count >= MAX_REQUESTS_OF_PROJECT]
        connection = await pool.getconn()
        try:
            request = await request_rows.claim(connection, single_only=True, exclude_projects=saturated)
            together = [] if request is None else [request]
            if request is not None and request.origin != "manual":
                together += await request_rows.claim_more(connection, request, REREADS_AT_ONCE - 1)
        except BaseException:
            await pool.putconn(connection)
            raise
        if request is None:
            await pool.putconn(connection)
            return None
        self.running[request.project_id] += 1

        async def work() -> None:
            try:
                await run_together(pool, self.keyring, connection, together, lookup=self.lookup)
                self.requests += len(together)
            finally:
                await pool.putconn(connection)
                self.running[request.project_id] -= 1
                self.request_wake.set()

        return asyncio.create_task(work())

    async def _delivery_loop(self, pool: Pool) -> None:
        """Sales that changed go out to subscriptions: the wake-ups are of our own drains, and of polling."""
        while await self._woken(self.delivery_wake):
            while not self.stop.is_set() and await send_due(pool, self.keyring):
                continue

    async def _inbound_loop(self, pool: Pool) -> None:
        """Changes of the CRMs come into vms."""
        loop = inbound_loop.InboundLoop(pool, self.inbound_wake, self.stop, self.lookup)
        await loop.run(lambda: self._woken(self.inbound_wake))

    async def _outbox_loop(self, pool: Pool) -> None:
        """Changes in vms go to the CRMs; it polls by itself, too."""
        async with outbound.opened(
            pool, self.keyring, instance=self.instance, stop=self.stop, lookup=self.lookup
        ) as self.sender:
            await self.sender.run(self.outbox_wake)

    async def _retry_loop(self, pool: Pool) -> None:
        """Failed records whose time has come join the queue, which wakes the drains."""
        while not self.stop.is_set():
            async with pool.connection() as connection:
                await retry_due(connection)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), RETRY_LOOK_SECONDS)

    async def _upload_loop(self, pool: Pool) -> None:
        """CSV files that wait to be imported, one at a time; what they land wakes the drains."""
        while not self.stop.is_set():
            await csv_import.run_due(pool, stop=self.stop.is_set, lookup=self.lookup)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), POLL_SECONDS)

    async def _forget_loop(self, pool: Pool) -> None:
        """What nobody needs any more goes."""
        while not self.stop.is_set():
            await forget_two_way(pool, self.keep, stop=self.stop.is_set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), FORGET_SECONDS)

    async def _count_loop(self, pool: Pool) -> None:
        """Webhooks and runs are summed up by day."""
        while not self.stop.is_set():
            async with pool.connection() as connection:
                await webhook_statistics.roll_up_all(connection)
                await run_days.roll_up_all(connection)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), COUNT_SECONDS)

    async def _beat_loop(self, pool: Pool) -> None:
        while not self.stop.is_set():
            async with pool.connection() as connection:
                details = {
                    "rows": self.rows, "events": self.events, "requests": self.requests, "folded": self.folded,
                    "pushed": self.sender.done.sent if self.sender is not None else 0, "pid": os.getpid(),
                }  # fmt: skip
                await heartbeats.beat(connection, "relay", self.instance, details)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), BEAT_SECONDS)

    async def _woken(self, wake: asyncio.Event) -> bool:
        """Wait until there may be work; False once the process is to stop."""
        if not wake.is_set():
            tasks = [asyncio.create_task(wake.wait()), asyncio.create_task(self.stop.wait())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
        wake.clear()
        return not self.stop.is_set()


def _reap(task: asyncio.Task[None]) -> bool:
    """Whether the task has ended; raises what a lost database raised in it."""
    if not task.done():
        return False
    if not task.cancelled() and (error := task.exception()) is not None:
        if isinstance(error, psycopg.OperationalError):
            raise error
        _log.error("request_failed", exc_info=error)
    return True


def _first_line(group: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error).strip().split("\n", 1)[0][:200]
