"""Changes in vms -> CRM: all projects side by side, by any number of processes.

Whoever sends holds a lock of its own as long as it lives. What it had claimed when it died is found by that, taken over
by somebody else, and looked up at the CRM before it is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import psycopg
import structlog

from connectors import registry
from connectors.errors import ConfigError
from database.connection import Connection, Pool, is_lost
from database.encryption import Keyring
from database.repositories import locks, outbox
from sync.projects import Lookup
from sync.two_way.outbound_breaker import Breaker
from sync.two_way.outbound_context import Context, open_context
from sync.two_way.outbound_project import GRACE_SECONDS, ProjectSender, Sent
from sync.two_way.outbound_settle import stop_project

CHANNEL = "crm_elt_outbox"
POLL_SECONDS = 1.0
"""For what is tried again, for dead processes' work, and for notifications that got lost."""
IDLE_SECONDS = 0.5
"""A project of which all that is due waits for something else is left alone for so long."""
STOP_SECONDS = GRACE_SECONDS + 2.0
CONTEXT_SECONDS = 5.0
"""Settings that change count after so long."""
FAILURE_SECONDS = (0.5, 30.0)
"""First and longest wait of a project whose changes cannot be read or written down."""
VANISHED = "set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3"
"""So that the server notices within half a minute that the machine of a sender has vanished."""

_log = structlog.get_logger(__name__)


@dataclass
class Outbound:
    """Sends for as long as the process lives; open it with `opened`."""

    pool: Pool
    keyring: Keyring
    lookup: Lookup
    instance: str
    stop: asyncio.Event
    presence: Connection
    done: Sent = field(default_factory=Sent)
    _breakers: dict[str, Breaker] = field(default_factory=dict)
    _contexts: dict[str, Context] = field(default_factory=dict)
    _senders: dict[str, ProjectSender] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _failures: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Project -> failures in a row, and the time (monotonic) before which it is left alone."""
    _idle_until: dict[str, float] = field(default_factory=dict)
    _looked_at: float = 0.0

    async def run(self, wake: asyncio.Event) -> None:
        """Send what is due whenever `wake` is set, and every second, until told to stop; then finish what is under way.
        Raises psycopg.OperationalError if the database is away."""
        while not self.stop.is_set():
            is_woken = wake.is_set()
            wake.clear()
            await self._look(is_woken=is_woken)
            waiting = [asyncio.create_task(wake.wait()), asyncio.create_task(self.stop.wait())]
            try:
                await asyncio.wait(
                    [*waiting, *self._tasks.values()], timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                for task in waiting:
                    task.cancel()
            self._reap()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=STOP_SECONDS)  # what is not finished is given back
        self._reap()

    async def drain(self, project_ids: Sequence[str] | None = None) -> None:
        """Send what is due of these projects, or of all, once; what is to be tried again later is left."""
        await self._look(project_ids)
        while self._tasks:
            await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
            self._reap()

    async def _look(self, project_ids: Sequence[str] | None = None, *, is_woken: bool = True) -> None:
        """Begin with projects that have something to send; but not, unless `is_woken`, where all of it has just been
        found to wait for something else."""
        now = time.monotonic()
        async with self.pool.connection() as connection:
            if now - self._looked_at >= POLL_SECONDS:
                self._looked_at = now
                await self.presence.execute("select 1")  # without it others take us for dead: better to start anew
                if taken := await outbox.take_over(connection):
                    _log.warning("outbox_taken_over", rows=taken, instance=self.instance)
            due = await outbox.due_projects(connection, project_ids)
        for project in due:
            project_id = project.project_id
            if project_id in self._tasks:
                if (sender := self._senders.get(project_id)) is not None:
                    sender.wake.set()
                continue
            breaker = self._breakers.setdefault(project_id, Breaker(project_id, is_away=project.is_away))
            if now < self._failures.get(project_id, (0, 0.0))[1]:
                continue
            if breaker.lets_through() and (is_woken or now >= self._idle_until.get(project_id, 0.0)):
                self._tasks[project_id] = asyncio.create_task(self._send(project_id, breaker))

    async def _send(self, project_id: str, breaker: Breaker) -> None:
        try:
            context = await self._context(project_id)
            if context is None:
                return
            if context.target is None:
                breaker.is_away = False  # nobody is asked for anything
            elif breaker.is_away and not await breaker.is_back(self.pool, context.target):
                return
            sender = ProjectSender(self.pool, context, breaker, self.instance, self.stop, self.done)
            self._senders[project_id] = sender
            await sender.run()
            if sender.is_refused:
                await self._forget(project_id)
            self._failures.pop(project_id, None)
            self._idle_until[project_id] = time.monotonic() + (0.0 if sender.has_claimed else IDLE_SECONDS)
        except Exception as error:
            if is_lost(error):
                raise  # start anew
            self._failed(project_id, error)  # one project's trouble must not stop the others
        finally:
            self._senders.pop(project_id, None)

    def _failed(self, project_id: str, error: Exception) -> None:
        count = self._failures.get(project_id, (0, 0.0))[0] + 1
        first, longest = FAILURE_SECONDS
        pause = min(longest, first * 2.0 ** (count - 1))
        self._failures[project_id] = (count, time.monotonic() + pause)
        _log.error("outbound_failed", project_id=project_id, exc_info=error, next_try_seconds=pause)

    async def _context(self, project_id: str) -> Context | None:
        """The project's settings and its open session, read anew every few seconds; None: they are wrong."""
        known = self._contexts.get(project_id)
        if known is not None and time.monotonic() - known.loaded_at < CONTEXT_SECONDS:
            return known
        await self._forget(project_id)
        async with self.pool.connection() as connection:
            try:
                context = await open_context(self.pool, connection, self.keyring, project_id, self.lookup)
            except ConfigError as error:
                async with connection.transaction():
                    await stop_project(connection, project_id, error)
                return None
        self._contexts[project_id] = context
        return context

    async def _forget(self, project_id: str) -> None:
        if (known := self._contexts.pop(project_id, None)) is not None:
            await known.close()

    def _reap(self) -> None:
        for project_id, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[project_id]
                task.result()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for context in self._contexts.values():
            await context.close()


@asynccontextmanager
async def opened(
    pool: Pool, keyring: Keyring, *, instance: str, stop: asyncio.Event, lookup: Lookup = registry.get
) -> AsyncIterator[Outbound]:
    """A sender that all others know to be alive as long as the block lasts."""
    name = f"{instance}/{uuid4().hex[:12]}"  # of this life: what an earlier one left behind is a dead process's
    async with locks.own_connection(pool) as presence:
        await presence.execute(VANISHED)
        if not await locks.try_session(presence, outbox.presence_name(name)):
            raise RuntimeError(f"The lock of {name} is held by somebody else, although nobody else has that name.")
        outbound = Outbound(pool, keyring, lookup, name, stop, presence)
        try:
            yield outbound
        finally:
            await outbound.close()
            with contextlib.suppress(psycopg.Error):  # gone: others find out by the lock
                async with pool.connection() as connection:
                    await locks.release(presence, outbox.presence_name(name))
                    await outbox.take_over(connection)


async def send_due(
    pool: Pool,
    keyring: Keyring,
    *,
    instance: str,
    stop: asyncio.Event | None = None,
    lookup: Lookup = registry.get,
    project_ids: Sequence[str] | None = None,
) -> Sent:
    """Send what is due of these projects, or of all, once, beside whoever else does. What was sent and what was not.

    Raises psycopg.Error if the database is away: what was under way is taken over by the next who sends.
    """
    async with opened(pool, keyring, instance=instance, stop=stop or asyncio.Event(), lookup=lookup) as outbound:
        await outbound.drain(project_ids)
        return outbound.done
