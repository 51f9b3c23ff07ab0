"""Core from raw alone: applies again what a project has received, in order of arrival."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from connectors import registry
from database.connection import Pool
from database.repositories import core, locks, logs, queue, raw, runs, transactions
from database.repositories.runs import Counts
from sync import projects
from sync.normalise import BATCH_ROWS, PORTION_CHARACTERS, DrainResult, Writer
from sync.projects import Lookup

Progress = Callable[[int, int], None]
"""(rows done, rows in all)"""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ReplayResult(DrainResult):
    run_id: int | None = None


async def replay_project(
    pool: Pool,
    project_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress | None = None,
    lookup: Lookup = registry.get,
) -> ReplayResult:
    """Rebuild a project's core.

    Without bounds its core rows are deleted first and made anew from everything in raw. With bounds, what arrived in
    [since, until) is applied on top of what there is. Either is one transaction: readers see core as it was before, or
    as it is afterwards. The project's webhooks land meanwhile and are applied when it is over.

    Raises ConfigError if there is no such project or connector.
    """
    async with pool.connection() as connection:
        await projects.load(connection, project_id, lookup)
        await runs.abandon_dead(connection, project_id)
    result = ReplayResult()
    async with locks.own_connection(pool) as holder:
        run_id = result.run_id = await runs.start(holder, project_id, kind="replay", stream=None, trigger="cli")
        try:
            await _replay(pool, project_id, since, until, result, progress, lookup)
        except Exception as error:
            message = f"The replay was rolled back: {type(error).__name__}"
            await runs.finish(
                holder, project_id, run_id, Counts(seen=result.rows), error_word="retry", error_message=message
            )
            raise
        await runs.finish(holder, project_id, run_id, Counts(seen=result.rows, failed=result.failed))
        message = f"Replayed {result.rows} raw rows: {result.events} status events, {result.failed} failed."
        await logs.write(holder, project_id, "info", message, run_id=run_id)
    _log.info("replayed", project_id=project_id, run_id=run_id, rows=result.rows, events=result.events)
    return result


async def _replay(
    pool: Pool,
    project_id: str,
    since: datetime | None,
    until: datetime | None,
    result: ReplayResult,
    progress: Progress | None,
    lookup: Lookup,
) -> None:
    async with pool.connection() as connection, connection.transaction():
        await locks.wait_transaction(connection, queue.lock_name(project_id))
        total = await raw.count_all(connection, project_id, since=since, until=until)
        is_full = since is None and until is None
        if is_full:
            await core.delete_project(connection, project_id)
        # In a full replay the ids of all sales would grow with raw.
        writer = await Writer.open(connection, project_id, lookup, is_replay=True, notes_sales=not is_full)
        portions = raw.read_all(
            connection,
            project_id,
            since=since,
            until=until,
            max_rows=BATCH_ROWS,
            max_characters=PORTION_CHARACTERS,
        )
        async for rows in portions:
            result.add(await writer.apply(rows))
            if progress is not None:
                progress(result.rows, max(total, result.rows))
        if is_full:
            await transactions.restore_vanished(connection, project_id)
        await writer.finish()
