"""raw.csv_uploads, sync.csv_imports and sync.csv_import_errors: files, their jobs, what was wrong with rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from database.connection import Connection
from database.repositories import locks
from database.repositories.words import ErrorWord

Origin = Literal["http", "cli"]
State = Literal["queued", "running", "done", "failed"]

_COLUMNS = """
    project_id, upload_id, file_id, filename, size_bytes, origin, state, attempts, requested_at, started_at,
    finished_at, encoding, delimiter, rows_total, rows_done, last_row, imported, updated, duplicates, errors,
    error_word, error_message
"""
_CANDIDATES = 20


@dataclass(slots=True)
class CsvImport:
    """One upload. The counts are of rows; `rows_total` is None before the file was opened."""

    project_id: str
    upload_id: int
    file_id: int
    filename: str | None
    size_bytes: int
    origin: Origin
    state: State
    attempts: int
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    encoding: str | None
    delimiter: str | None
    rows_total: int | None
    rows_done: int
    last_row: int
    imported: int
    updated: int
    duplicates: int
    errors: int
    error_word: ErrorWord | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class ErrorRow:
    row_number: int
    reason: str
    cells: list[str]
    """Date, phone, amount, description."""


def lock_name(upload_id: int) -> str:
    """Held by who imports an upload."""
    return f"csv_import.{upload_id}"


async def land(
    connection: Connection,
    project_id: str,
    content: bytes,
    content_hash: bytes,
    *,
    filename: str | None,
    origin: Origin,
    delay_seconds: float = 0.0,
    error: str | None = None,
) -> int:
    """Keep a file and queue its import; the upload's id.

    Nobody but who names it claims the upload for `delay_seconds`. `error`: it was refused already and is not imported.
    """
    cursor = await connection.execute(
        """
        with landed as (
            insert into raw.csv_uploads (project_id, content_hash, content)
            values (%(project)s, %(hash)s, %(content)b)
            on conflict (project_id, content_hash) do update set content_hash = excluded.content_hash
            returning file_id
        )
        insert into sync.csv_imports
            (project_id, file_id, filename, size_bytes, origin, state, not_before, finished_at, error_word,
            error_message)
        select %(project)s, file_id, %(filename)s, %(size)s, %(origin)s,
            case when %(error)s::text is null then 'queued' else 'failed' end,
            clock_timestamp() + %(delay)s::float8 * interval '1 second',
            case when %(error)s::text is not null then clock_timestamp() end,
            case when %(error)s::text is not null then 'permanent' end, %(error)s
        from landed
        returning upload_id
        """,
        {
            "project": project_id,
            "hash": content_hash,
            "content": content,
            "filename": filename,
            "size": len(content),
            "origin": origin,
            "delay": delay_seconds,
            "error": error,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["upload_id"])


async def is_due(connection: Connection) -> bool:
    """Whether an upload waits, or its importer may have died."""
    cursor = await connection.execute(
        """
        select exists (
            select from sync.csv_imports where state in ('queued', 'running') and not_before <= clock_timestamp()
        ) as is_due
        """
    )
    row = await cursor.fetchone()
    assert row is not None
    return bool(row["is_due"])


async def claim(connection: Connection, upload_id: int | None = None) -> CsvImport | None:
    """The oldest upload that is due and that nobody imports, or the one of that id; None if there is none.

    Its lock is held on this connection until `release`, or until the connection ends: then somebody else may claim it.
    """
    cursor = await connection.execute(
        """
        select upload_id
        from sync.csv_imports
        where state in ('queued', 'running')
            and (upload_id = %(id)s or (%(id)s::bigint is null and not_before <= clock_timestamp()))
        order by upload_id
        limit %(most)s
        """,
        {"id": upload_id, "most": _CANDIDATES},
    )
    for candidate in [row["upload_id"] for row in await cursor.fetchall()]:
        if not await locks.try_session(connection, lock_name(candidate)):
            continue
        claimed = await connection.execute(
            f"""
            update sync.csv_imports
            set state = 'running', started_at = coalesce(started_at, clock_timestamp()), attempts = attempts + 1
            where upload_id = %s and state in ('queued', 'running')
            returning {_COLUMNS}
            """,  # noqa: S608
            [candidate],
        )
        row = await claimed.fetchone()
        if row is not None:
            return CsvImport(**row)
        await locks.release(connection, lock_name(candidate))  # whoever had it has just ended it
    return None


async def release(connection: Connection, upload_id: int) -> None:
    await locks.release(connection, lock_name(upload_id))


async def content(connection: Connection, project_id: str, file_id: int) -> bytes:
    """The file byte by byte."""
    cursor = await connection.execute(
        "select content from raw.csv_uploads where project_id = %s and file_id = %s", [project_id, file_id], binary=True
    )
    row = await cursor.fetchone()
    assert row is not None
    return bytes(row["content"])


async def update(connection: Connection, job: CsvImport) -> None:
    """Store how far the import is, and its state."""
    await connection.execute(
        """
        update sync.csv_imports
        set state = %(state)s, attempts = %(attempts)s, encoding = %(encoding)s, delimiter = %(delimiter)s,
            rows_total = %(rows_total)s, rows_done = %(rows_done)s, last_row = %(last_row)s, imported = %(imported)s,
            updated = %(updated)s, duplicates = %(duplicates)s, errors = %(errors)s, error_word = %(error_word)s,
            error_message = %(error_message)s,
            finished_at = case when %(state)s in ('done', 'failed') then clock_timestamp() end
        where project_id = %(project_id)s and upload_id = %(upload_id)s
        """,
        {name: getattr(job, name) for name in CsvImport.__dataclass_fields__},
    )


async def add_errors(connection: Connection, job: CsvImport, rows: Sequence[ErrorRow]) -> None:
    if not rows:
        return
    await connection.execute(
        """
        insert into sync.csv_import_errors (project_id, upload_id, row_number, reason, cells)
        select %s, %s, e.row_number, e.reason, array(select json_array_elements_text(e.cells))
        from json_to_recordset(%s::json) as e (row_number bigint, reason text, cells json)
        """,
        [job.project_id, job.upload_id, msgspec.json.encode(rows).decode()],
    )


async def get(connection: Connection, project_id: str, upload_id: int) -> CsvImport | None:
    cursor = await connection.execute(
        f"select {_COLUMNS} from sync.csv_imports where project_id = %s and upload_id = %s",  # noqa: S608
        [project_id, upload_id],
    )
    row = await cursor.fetchone()
    return None if row is None else CsvImport(**row)


async def newest(
    connection: Connection, project_id: str, *, before_id: int | None = None, limit: int = 20
) -> list[CsvImport]:
    """A project's uploads, newest first: all, or those before one."""
    cursor = await connection.execute(
        f"""
        select {_COLUMNS} from sync.csv_imports
        where project_id = %(project)s and upload_id < coalesce(%(before)s, 9223372036854775807)
        order by upload_id desc
        limit %(limit)s
        """,  # noqa: S608
        {"project": project_id, "before": before_id, "limit": limit},
    )
    return [CsvImport(**row) for row in await cursor.fetchall()]


async def errors(
    connection: Connection, project_id: str, upload_id: int, *, after_row: int = 0, limit: int = 1000
) -> list[ErrorRow]:
    """Rows that were no sales, in their order in the file, those after a row number."""
    cursor = await connection.execute(
        """
        select row_number, reason, cells
        from sync.csv_import_errors
        where project_id = %s and upload_id = %s and row_number > %s
        order by row_number
        limit %s
        """,
        [project_id, upload_id, after_row, limit],
    )
    return [ErrorRow(**row) for row in await cursor.fetchall()]
