"""sync.integration_logs: what happened with a project's CRM, for its owner. No secrets, no personal data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg.types.json import Jsonb

from database.connection import Connection
from database.repositories.words import ErrorWord

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class LogEntry:
    log_id: int
    run_id: int | None
    logged_at: datetime
    level: Level
    error_word: ErrorWord | None
    message: str
    details: dict[str, Any]


async def write_many(
    connection: Connection,
    project_id: str,
    level: Level,
    entries: Sequence[tuple[str, ErrorWord | None, Mapping[str, Any]]],
) -> None:
    """Entries of (message, error word, details)."""
    rows = [
        {"message": message.replace("\x00", ""), "error_word": word, "details": dict(details)}
        for message, word, details in entries
    ]
    await connection.execute(
        """
        insert into sync.integration_logs (project_id, level, error_word, message, details)
        select %s, %s, error_word, message, details
        from json_to_recordset(%s::json) as l (error_word text, message text, details jsonb)
        """,
        [project_id, level, msgspec.json.encode(rows).decode()],
    )


async def write(
    connection: Connection,
    project_id: str,
    level: Level,
    message: str,
    *,
    run_id: int | None = None,
    error_word: ErrorWord | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    await connection.execute(
        """
        insert into sync.integration_logs (project_id, run_id, level, error_word, message, details)
        values (%s, %s, %s, %s, %s, %s)
        """,
        [project_id, run_id, level, error_word, message.replace("\x00", ""), Jsonb(dict(details or {}))],
    )


async def newest(
    connection: Connection,
    project_id: str,
    *,
    level: Level | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[LogEntry]:
    """A project's entries, newest first; of one level or all, `before_id` is the last id of the page before."""
    by_level = "and level = %(level)s" if level is not None else ""  # two statements, for two indexes
    cursor = await connection.execute(
        f"""
        select log_id, run_id, logged_at, level, error_word, message, details
        from sync.integration_logs
        where project_id = %(project)s {by_level} and log_id < coalesce(%(before)s::bigint, 9223372036854775807)
        order by log_id desc
        limit %(limit)s
        """,  # noqa: S608
        {"project": project_id, "level": level, "before": before_id, "limit": limit},
    )
    return [LogEntry(**row) for row in await cursor.fetchall()]
