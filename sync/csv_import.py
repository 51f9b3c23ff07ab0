"""CSV file -> raw: each valid row becomes a record of stream `rows`, queued for core; each other one an error.

A file lands whole before anything is answered. Its import is a job in the database that the ingest API (small files),
the command line, or the relay runs. A chunk of rows, its errors and the progress are one transaction, so that a job
whose process died goes on where it was, and its counts stay exact.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import structlog

from connectors import registry
from connectors.csv.decoding import FileRefusedError
from connectors.csv.layout import inspect
from connectors.csv.reading import CsvFile, Line, open_file
from connectors.csv.report import HEADER
from connectors.csv.rows import STREAM, InvalidRowError, read_row, record_of
from connectors.errors import ConfigError, ConnectorError, PermanentError
from connectors.protocol import MappingContext, RawRecord
from database.connection import Connection, Pool
from database.repositories import csv_imports, landing, locks, logs, raw, runs
from database.repositories.csv_imports import CsvImport, ErrorRow, Origin
from database.repositories.runs import Counts
from sync import projects
from sync.projects import Lookup

CRM = "csv"
MOST_BYTES = 10 * 1024 * 1024
"""Of a file."""
MOST_ATTEMPTS = 5
"""After so many processes that died over an upload it is given up."""

Progress = Callable[[CsvImport], None]

_log = structlog.get_logger(__name__)


async def land(
    connection: Connection,
    project_id: str,
    content: bytes,
    *,
    filename: str | None,
    origin: Origin,
    delay_seconds: float = 0.0,
) -> int:
    """Keep a file and queue its import; the upload's id, once it is durable.

    A file that is not worth a job, because its encoding or header is wrong, is kept as failed. `delay_seconds`: how
    long the relay leaves the upload to the caller. The connection must be in no transaction. Raises psycopg.Error.
    """
    error = None
    try:
        await asyncio.to_thread(inspect, content)
    except FileRefusedError as refused:
        error = refused.message
    await landing.prepare_connection(connection)
    return await csv_imports.land(
        connection,
        project_id,
        content,
        hashlib.sha256(content).digest(),
        filename=filename,
        origin=origin,
        delay_seconds=delay_seconds,
        error=error,
    )


async def run_due(
    pool: Pool, *, stop: Callable[[], bool] = lambda: False, lookup: Lookup = registry.get
) -> list[CsvImport]:
    """Import what waits, one file after the other, also what a process has left half done; what became of each.

    `stop` is asked between chunks. Raises psycopg.Error if the database is away: what was begun is taken up again.
    """
    done: list[CsvImport] = []
    async with pool.connection() as connection:
        if stop() or not await csv_imports.is_due(connection):
            return done
    async with locks.own_connection(pool) as connection:
        while not stop() and (job := await csv_imports.claim(connection)) is not None:
            done.append(await run_claimed(connection, job, stop=stop, lookup=lookup))
    return done


async def run_upload(
    connection: Connection, upload_id: int, *, progress: Progress | None = None, lookup: Lookup = registry.get
) -> CsvImport | None:
    """Import one upload; None if it is ended or somebody else is at it. Raises psycopg.Error."""
    job = await csv_imports.claim(connection, upload_id)
    return None if job is None else await run_claimed(connection, job, progress=progress, lookup=lookup)


async def run_claimed(
    connection: Connection,
    job: CsvImport,
    *,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    lookup: Lookup = registry.get,
) -> CsvImport:
    """Import an upload that was claimed on this connection, which must be in no transaction and used by nobody else.

    If it is cancelled or the database goes away, the upload waits for somebody else.
    """
    try:
        await _run(connection, job, progress, stop, lookup)
    except BaseException:
        await connection.close()  # gives the lock up, whatever state the connection is in
        raise
    await csv_imports.release(connection, job.upload_id)
    return job


def summary(job: CsvImport) -> str:
    """`Imported 25, duplicates 3, errors 2`; rows that gave a known sale another description are named if there are."""
    updated = f"updated {job.updated}, " if job.updated else ""
    return f"Imported {job.imported}, {updated}duplicates {job.duplicates}, errors {job.errors}"


def message_of(row: ErrorRow) -> str:
    """`Row 3: invalid phone, expected +7XXXXXXXXXX`."""
    return f"Row {row.row_number}: {row.reason}"


def describe(job: CsvImport, errors: Sequence[ErrorRow]) -> dict[str, Any]:
    """An upload for people and programs: state, progress, counts, and the first of the rows that were no sales."""
    total = job.rows_total
    return {
        "upload_id": job.upload_id,
        "project_id": job.project_id,
        "state": job.state,
        "filename": job.filename,
        "size_bytes": job.size_bytes,
        "requested_at": job.requested_at,
        "finished_at": job.finished_at,
        "encoding": job.encoding,
        "delimiter": job.delimiter,
        "rows_total": total,
        "rows_done": job.rows_done,
        "percent": None if total is None else 100 * job.rows_done // total if total else 100,
        "imported": job.imported,
        "updated": job.updated,
        "duplicates": job.duplicates,
        "errors": job.errors,
        "summary": summary(job),
        "error": job.error_message,
        "error_rows": [{"row": row.row_number, "reason": row.reason, "message": message_of(row)} for row in errors],
    }


async def report_pages(
    connect: Callable[[], AbstractAsyncContextManager[Connection]], job: CsvImport, page: int
) -> AsyncIterator[list[Sequence[object]]]:
    """The lines of an ended import's report, for `connectors.csv.report`: header, then rows that were no sales.

    A connection is used for each page anew: who downloads may be slow.
    """
    lines: list[Sequence[object]] = [HEADER]
    if job.error_message is not None:
        lines.append((None, job.error_message, None, None, None, None))
    after = 0
    while True:
        async with connect() as connection:
            rows = await csv_imports.errors(connection, job.project_id, job.upload_id, after_row=after, limit=page)
        lines += [(row.row_number, row.reason, *row.cells) for row in rows]
        if lines:
            yield lines
        if len(rows) < page:
            return
        after, lines = rows[-1].row_number, []


async def _run(
    connection: Connection, job: CsvImport, progress: Progress | None, stop: Callable[[], bool], lookup: Lookup
) -> None:
    run_id: int | None = None
    try:
        context, file = await _open(connection, job, lookup)
        await runs.abandon_dead(connection, job.project_id)
        run_id = await runs.start(connection, job.project_id, kind="import", stream=STREAM, trigger=job.origin)
        is_whole = await _Importer(connection, job, context, run_id).run(file, progress, stop)
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise  # the database is away: nothing can be noted now
    except ConnectorError as error:
        await _fail(connection, job, run_id, error)
    except Exception as error:  # noqa: BLE001 - a bug for one file must neither repeat for ever nor stop the others
        _log.error("csv_import_failed", project_id=job.project_id, upload_id=job.upload_id, exc_info=error)
        told = PermanentError(f"Unexpected error: {type(error).__name__}; the log of the process says more.")
        await _fail(connection, job, run_id, told)
    else:
        await _finish(connection, job, run_id, is_whole=is_whole)
    if run_id is not None:
        await locks.release(connection, runs.lock_name(run_id))


async def _open(connection: Connection, job: CsvImport, lookup: Lookup) -> tuple[MappingContext, CsvFile]:
    """Raises ConnectorError if the file cannot be imported at all."""
    if job.attempts > MOST_ATTEMPTS:
        raise PermanentError(f"The import broke off {MOST_ATTEMPTS} times: split the file and upload its parts.")
    project = await projects.load(connection, job.project_id, lookup)
    if project.row.crm != CRM:
        raise ConfigError(f"{job.project_id} is a project of {project.row.crm}: files go to one of csv.")
    content = await csv_imports.content(connection, job.project_id, job.file_id)
    file = await asyncio.to_thread(open_file, content)
    job.encoding, job.delimiter, job.rows_total = file.layout.encoding, file.layout.delimiter, file.rows
    return project.context, file


async def _finish(connection: Connection, job: CsvImport, run_id: int, *, is_whole: bool) -> None:
    async with connection.transaction():
        if is_whole:
            job.state = "done"
            level: logs.Level = "warning" if job.errors else "info"
            message = f"CSV upload {job.upload_id}: {summary(job)}."
            await logs.write(connection, job.project_id, level, message, run_id=run_id)
        else:  # the process is told to stop, which is no failed attempt
            job.state, job.attempts = "queued", job.attempts - 1
        await csv_imports.update(connection, job)
        await runs.finish(connection, job.project_id, run_id, _counts(job))
    _log.info("csv_imported", project_id=job.project_id, upload_id=job.upload_id, state=job.state, rows=job.rows_done)


async def _fail(connection: Connection, job: CsvImport, run_id: int | None, error: ConnectorError) -> None:
    job.state, job.error_word, job.error_message = "failed", error.word, error.message
    async with connection.transaction():
        if run_id is not None:
            await runs.finish(
                connection,
                job.project_id,
                run_id,
                _counts(job),
                error_word=error.word,
                error_message=error.message,
            )
        await csv_imports.update(connection, job)
        message = f"CSV upload {job.upload_id} failed: {error.message}"
        await logs.write(connection, job.project_id, "error", message, run_id=run_id, error_word=error.word)


def _counts(job: CsvImport) -> Counts:
    return Counts(
        seen=job.rows_done, new=job.imported, changed=job.updated, unchanged=job.duplicates, failed=job.errors
    )


@dataclass(slots=True)
class _Part:
    """What a chunk of lines comes to."""

    records: list[RawRecord] = field(default_factory=list)
    errors: list[ErrorRow] = field(default_factory=list)
    repeated: int = 0
    """Rows of a sale that the file has told of before."""
    last_row: int = 0

    @property
    def rows(self) -> int:
        return len(self.records) + len(self.errors) + self.repeated


def _record(context: MappingContext, line: Line) -> RawRecord:
    """Raises InvalidRowError."""
    if line.problem is not None:
        raise InvalidRowError(line.problem)
    return record_of(context.project_id, line.cells, read_row(context, line.cells))


@dataclass(slots=True)
class _Importer:
    connection: Connection
    job: CsvImport
    context: MappingContext
    run_id: int
    seen: set[bytes] = field(default_factory=set)
    """Sales that the file has told of: of several rows with one id the first counts, each time it is uploaded."""

    async def run(self, file: CsvFile, progress: Progress | None, stop: Callable[[], bool]) -> bool:
        """Whether the file was read to its end. Parsing is left to a thread: it must not hold up the event loop."""
        await csv_imports.update(self.connection, self.job)
        chunks = file.chunks()
        while (part := await asyncio.to_thread(self._next, chunks)) is not None:
            if part.rows:
                await self._land(part)
                if progress is not None:
                    progress(self.job)
            if stop():
                return False
        return True

    def _next(self, chunks: Iterator[Sequence[Line]]) -> _Part | None:
        lines = next(chunks, None)
        return None if lines is None else self._read(lines)

    def _read(self, lines: Sequence[Line]) -> _Part:
        part = _Part(last_row=lines[-1].number)
        for line in lines:
            is_done = line.number <= self.job.last_row  # by an attempt before: only its id is of interest
            try:
                record = _record(self.context, line)
            except InvalidRowError as error:
                if not is_done:
                    cells = line.cells
                    texts = [cells.date, cells.customer_phone, cells.amount, cells.description]
                    part.errors.append(ErrorRow(line.number, str(error), texts))
                continue
            identity = bytes.fromhex(record.crm_id)
            is_repeated = identity in self.seen
            self.seen.add(identity)
            if is_done:
                continue
            if is_repeated:
                part.repeated += 1
            else:
                part.records.append(record)
        return part

    async def _land(self, part: _Part) -> None:
        connection, job = self.connection, self.job
        async with connection.transaction():
            # Two files with the same sale at once would both call it new.
            await locks.wait_transaction(connection, f"csv_rows.{job.project_id}")
            landed = raw.Landed(0, 0, 0)
            if part.records:
                landed = await raw.land_api_records(connection, job.project_id, CRM, STREAM, self.run_id, part.records)
            await csv_imports.add_errors(connection, job, part.errors)
            after = replace(
                job,
                imported=job.imported + landed.new,
                updated=job.updated + landed.changed,
                duplicates=job.duplicates + landed.unchanged + part.repeated,
                errors=job.errors + len(part.errors),
                rows_done=job.rows_done + part.rows,
                last_row=part.last_row,
            )
            await csv_imports.update(connection, after)
            await runs.update(connection, job.project_id, self.run_id, _counts(after))
        for name in CsvImport.__dataclass_fields__:  # only once it is committed: the job is the caller's too
            setattr(job, name, getattr(after, name))
