"""The relay's part that brings changes of the CRM into vms: several projects side by side, each in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from database.connection import Pool
from database.repositories import inbound_queue
from sync.projects import Lookup
from sync.two_way.inbound import PAUSE_SECONDS, Applied, apply_due

CHANNEL = "crm_elt_inbound"
MAX_PROJECTS = 4
"""At once."""
FAILURE_SECONDS = (0.5, 30.0)
"""First and longest wait of a project whose objects cannot be written."""

_log = structlog.get_logger(__name__)


class InboundLoop:
    """`wake` is set when there may be work: by the relay's notifications and polls, and by this loop itself."""

    def __init__(self, pool: Pool, wake: asyncio.Event, stop: asyncio.Event, lookup: Lookup) -> None:
        self.done = Applied()
        self._pool, self._wake, self._stop, self._lookup = pool, wake, stop, lookup
        self._busy: set[str] = set()
        self._failures: Counter[str] = Counter()

    async def run(self, woken: Callable[[], Awaitable[bool]]) -> None:
        """Until `woken`, which waits for `wake`, tells that the process is to stop; what is under way is finished.

        Raises psycopg.OperationalError if the database is away.
        """
        async with asyncio.TaskGroup() as tasks:
            while await woken():
                if len(self._busy) >= MAX_PROJECTS:
                    continue  # each of them wakes this loop when it ends
                async with self._pool.connection() as connection:
                    projects = await inbound_queue.due_projects(connection)
                for project_id in projects:
                    if project_id not in self._busy and len(self._busy) < MAX_PROJECTS:
                        self._busy.add(project_id)
                        tasks.create_task(self._apply(project_id))

    async def _apply(self, project_id: str) -> None:
        """Apply what is due of one project. One that fails waits longer each time and does not stop the others."""
        try:
            applied = await apply_due(self._pool, stop=self._stop.is_set, lookup=self._lookup, project_id=project_id)
            self.done.add(applied)
            self._failures.pop(project_id, None)
            if applied.put_back or applied.busy:
                asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._wake.set)
        except Exception as error:
            if isinstance(error, psycopg.OperationalError) and (
                error.sqlstate is None or error.sqlstate.startswith(("08", "57"))
            ):
                raise  # the database is away: the relay starts anew
            await self._failed(project_id, error)
        self._busy.discard(project_id)
        self._wake.set()  # more may have come after the last look, or others may wait for the place

    async def _failed(self, project_id: str, error: Exception) -> None:
        self._failures[project_id] += 1
        first, longest = FAILURE_SECONDS
        pause = min(longest, first * 2.0 ** (self._failures[project_id] - 1))
        _log.error("inbound_failed", project_id=project_id, exc_info=error, next_try_seconds=pause)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause)
