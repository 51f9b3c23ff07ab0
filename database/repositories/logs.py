"""sync.integration_logs: what happened with a project's CRM, for its owner. No secrets, no personal data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from psycopg.types.json import Jsonb

from database.connection import Connection
from database.repositories.words import ErrorWord

Level = Literal["debug", "info", "warning", "error"]


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
