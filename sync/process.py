"""Raw -> core now, for all projects, until nothing waits; and what follows from it between vms and the CRMs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors import registry
from database.connection import Pool
from database.encryption import Keyring
from database.repositories import queue
from sync import csv_import
from sync.failed_records import retry_due
from sync.normalise import DrainResult, drain
from sync.projects import Lookup
from sync.two_way.backlog import WorkedOff, work_off

Progress = Callable[[int, int], None]
"""(rows done, rows in all as far as known)"""


@dataclass(frozen=True, slots=True)
class Processed:
    drained: DrainResult
    two_way: WorkedOff

    def as_row(self) -> dict[str, Any]:
        return {**self.drained.as_row(), "two_way": self.two_way.counts()}


async def process_now(
    pool: Pool, keyring: Keyring, *, progress: Progress | None = None, lookup: Lookup = registry.get
) -> Processed:
    """Apply all that has landed, bring what it changed into vms, and send what changed there to the CRMs, once.

    Raises psycopg.Error.
    """
    drained = await process_all(pool, progress=progress, lookup=lookup)
    instance = f"process:{socket.gethostname()}:{os.getpid()}"
    return Processed(drained, await work_off(pool, keyring, instance=instance, wait=True, lookup=lookup))


async def process_all(pool: Pool, *, progress: Progress | None = None, lookup: Lookup = registry.get) -> DrainResult:
    """Import the CSV files that wait, then apply everything that has landed; who else is at it is waited for.

    Raises psycopg.Error.
    """
    async with pool.connection() as connection:
        await retry_due(connection)
    await csv_import.run_due(pool, lookup=lookup)
    async with pool.connection() as connection:
        waiting = (await queue.backlog(connection)).count
    result = DrainResult()

    def report(part: DrainResult) -> None:
        if progress is not None:
            done = result.rows + part.rows
            progress(done, max(waiting, done))

    while True:
        done = await drain(pool, wait=True, progress=report, lookup=lookup)
        result.add(done)
        if not done.rows:
            return result
