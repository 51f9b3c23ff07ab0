"""Applies what a pull lands while the pull goes on.

What is applied is what stands in the queue: it was committed before, and whoever else drains the project (the relay)
may be quicker. Rows that this very process has landed are kept for a while, so that they need not be read back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from connectors import registry
from database.connection import Pool
from database.repositories.queue import Entry
from database.repositories.raw import RawRow
from sync.normalise import PORTION_CHARACTERS, DrainResult, drain
from sync.projects import Lookup

ROOM_SECONDS = 1.0
"""A pull that is far ahead of what is applied waits so long before it lands more."""


class Landings:
    """Rows that were landed and may be waiting in the queue still, as the database has them, up to so many
    characters: what is applied next is the oldest."""

    def __init__(self, most_characters: int = PORTION_CHARACTERS) -> None:
        self._most = most_characters
        self._rows: dict[int, RawRow] = {}
        self._characters = 0

    def add(self, rows: Sequence[RawRow]) -> None:
        """Rows of raw.api_records that are one entry of the queue, once they are committed."""
        if self.is_full:
            return
        for row in rows:
            self._rows[row.raw_id] = row
            self._characters += len(row.body or "")

    def of(self, entries: Sequence[Entry]) -> list[RawRow] | None:
        """The rows of these entries in their order; None if one of them is not here."""
        found: list[RawRow] = []
        for entry in entries:
            for raw_id in entry.raw_ids:
                row = self._rows.get(raw_id) if entry.source == "api" else None
                if row is None:
                    return None
                found.append(row)
        return found

    def forget(self, entries: Sequence[Entry]) -> None:
        """These are applied."""
        for entry in entries:
            for raw_id in entry.raw_ids if entry.source == "api" else ():
                if (row := self._rows.pop(raw_id, None)) is not None:
                    self._characters -= len(row.body or "")

    @property
    def is_full(self) -> bool:
        return self._characters >= self._most

    def clear(self) -> None:
        """None of them is needed."""
        self._rows.clear()
        self._characters = 0


class Applier:
    """What was applied so far, and the call for more."""

    def __init__(self, pool: Pool, project_id: str, lookup: Lookup) -> None:
        self.landings = Landings()
        self.result = DrainResult()
        self._pool, self._project_id, self._lookup = pool, project_id, lookup
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_running = True
        self._is_closing = False

    def landed(self, rows: Sequence[RawRow]) -> None:
        """Rows were committed and queued."""
        self.landings.add(rows)
        if self.landings.is_full and self._is_running:
            self._has_room.clear()
        self._wake.set()

    async def room(self) -> None:
        """Wait for what has landed to be applied, if that is as much as may be kept; but not for long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_room.wait(), ROOM_SECONDS)

    async def run(self) -> None:
        """Apply until `close`. What somebody else is applying just now is left to them."""
        try:
            while True:
                await self._wake.wait()
                if self._is_closing:
                    return
                self._wake.clear()
                await self._drain(wait=False)
        finally:
            self._is_running = False
            self._has_room.set()

    async def finish(self) -> None:
        """Apply all that is left, after whoever else writes the project."""
        await self._drain(wait=True)

    def _note(self, done: DrainResult) -> None:
        if not self.landings.is_full:
            self._has_room.set()

    def close(self) -> None:
        self._is_closing = True
        self._wake.set()

    async def _drain(self, *, wait: bool) -> None:
        done = await drain(
            self._pool,
            self._project_id,
            wait=wait,
            landings=self.landings,
            progress=self._note,
            stop=lambda: self._is_closing and not wait,
            lookup=self._lookup,
        )
        self.result.add(done)
        self.landings.clear()  # nothing waits any more, or somebody else is at it
        self._has_room.set()


@contextlib.asynccontextmanager
async def applying(pool: Pool, project_id: str, lookup: Lookup = registry.get) -> AsyncIterator[Applier]:
    """Apply beside the block, and what is left at its end. Raises psycopg.Error if the database is away."""
    applier = Applier(pool, project_id, lookup)
    task = asyncio.create_task(applier.run())
    try:
        yield applier
        applier.close()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await applier.finish()
