"""sync.integration_logs: what happened with a project's CRM, for its owner. No secrets, no personal data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from psycopg.types.json import Jsonb

from database.connection import Connection
from database.repositories.words import ErrorWord

Level = Literal["debug", "info", "warning", "error"]


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
