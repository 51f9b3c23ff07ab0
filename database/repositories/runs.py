"""sync.runs: every pull, backfill, re-read and replay, with its counts and its end."""

from __future__ import annotations

from dataclasses import dataclass

from database.connection import Connection
from database.repositories import locks
from database.repositories.words import ErrorWord


@dataclass(slots=True)
class Counts:
    pages: int = 0
    seen: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    """Rows that were not even records."""


def lock_name(run_id: int) -> str:
    """Held by the process of a run while that lives."""
    return f"run.{run_id}"


async def insert(
    connection: Connection,
    project_id: str,
    *,
    kind: str,
    stream: str | None,
    trigger: str,
    dagster_run_id: str | None = None,
    elapsed: float = 0.0,
) -> int:
    """A run that ends in the caller's transaction, and began `elapsed` seconds ago."""
    cursor = await connection.execute(
        """
        insert into sync.runs (project_id, kind, stream, trigger, dagster_run_id, started_at)
        values (%s, %s, %s, %s, %s, clock_timestamp() - make_interval(secs => %s))
        returning run_id
        """,
        [project_id, kind, stream, trigger, dagster_run_id, elapsed],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["run_id"])


async def start(
    connection: Connection,
    project_id: str,
    *,
    kind: str,
    stream: str | None,
    trigger: str,
    dagster_run_id: str | None = None,
) -> int:
    """Begin a run and hold its lock on this connection, which must be the run's own: once it is closed, a run that
    still says `running` is dead."""
    async with connection.transaction():
        run_id = await insert(
            connection, project_id, kind=kind, stream=stream, trigger=trigger, dagster_run_id=dagster_run_id
        )
        await locks.try_session(connection, lock_name(run_id))
    return run_id


async def update(connection: Connection, project_id: str, run_id: int, counts: Counts) -> None:
    """Store how far a run has come."""
    await connection.execute(
        """
        update sync.runs
        set pages = %s, rows_seen = %s, rows_new = %s, rows_changed = %s, rows_unchanged = %s, rows_failed = %s
        where project_id = %s and run_id = %s
        """,
        [
            counts.pages,
            counts.seen,
            counts.new,
            counts.changed,
            counts.unchanged,
            counts.failed,
            project_id,
            run_id,
        ],
    )


async def finish(
    connection: Connection,
    project_id: str,
    run_id: int,
    counts: Counts,
    *,
    error_word: ErrorWord | None = None,
    error_message: str | None = None,
) -> None:
    """End a run: it failed if there is an error message, else it succeeded."""
    async with connection.transaction():
        await update(connection, project_id, run_id, counts)
        await connection.execute(
            """
            update sync.runs
            set state = case when %(message)s::text is null then 'success' else 'failed' end,
                finished_at = clock_timestamp(), error_word = %(word)s, error_message = %(message)s
            where project_id = %(project)s and run_id = %(run)s
            """,
            {"word": error_word, "message": error_message, "project": project_id, "run": run_id},
        )


async def abandon_dead(connection: Connection, project_id: str) -> list[int]:
    """Mark runs whose process died as abandoned: they say `running`, and nobody holds their lock."""
    cursor = await connection.execute(
        """
        with running as materialized (
            select run_id from sync.runs where project_id = %(project)s and state = 'running'
        ),
        dead as materialized (
            select run_id from running where pg_try_advisory_xact_lock(hashtextextended(%(prefix)s || run_id, 0))
        )
        update sync.runs
        set state = 'abandoned', finished_at = clock_timestamp(),
            error_message = 'The process ended before the run did.'
        from dead
        where runs.project_id = %(project)s and runs.run_id = dead.run_id and runs.state = 'running'
        returning runs.run_id
        """,
        {"project": project_id, "prefix": locks.PREFIX + lock_name(0)[:-1]},
    )
    return [row["run_id"] for row in await cursor.fetchall()]


async def is_pulling(connection: Connection, project_id: str, seconds: float) -> bool:
    """Whether a pull of the project is under way, of which the process lives, or ended less than so long ago: what it
    has landed is still on its way, and its next stream may be about to begin."""
    cursor = await connection.execute(
        """
        with running as materialized (
            select run_id from sync.runs
            where project_id = %(project)s and state = 'running' and kind in ('pull', 'backfill')
        )
        select exists (
            select from running
            where not pg_try_advisory_xact_lock_shared(hashtextextended(%(prefix)s || run_id, 0))
        ) or exists (
            select from sync.runs
            where project_id = %(project)s and kind in ('pull', 'backfill')
                and finished_at > clock_timestamp() - %(seconds)s * interval '1 second'
                and started_at > clock_timestamp() - interval '1 day'
        ) as flag
        """,
        {"project": project_id, "prefix": locks.PREFIX + lock_name(0)[:-1], "seconds": seconds},
    )
    row = await cursor.fetchone()
    return bool(row and row["flag"])
