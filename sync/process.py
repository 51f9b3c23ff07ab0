"""Raw -> core now, for all projects, until nothing waits."""

from __future__ import annotations

from collections.abc import Callable

from connectors import registry
from database.connection import Pool
from database.repositories import queue
from sync import csv_import
from sync.failed_records import retry_due
from sync.normalise import DrainResult, drain
from sync.projects import Lookup

Progress = Callable[[int, int], None]
"""(rows done, rows in all as far as known)"""


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
