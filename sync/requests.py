"""Manual syncs and re-reads: queue them, run those that are due, try again what may succeed later."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
import psycopg
import structlog

from connectors import registry
from connectors.errors import ConfigError, ConnectorError, ErrorWord, NotFoundError, PermanentError, RetryError
from connectors.protocol import RawRecord
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import core, dead_letters, logs, raw, runs
from database.repositories import requests as rows
from database.repositories.dead_letters import Letter
from database.repositories.requests import Request
from database.repositories.runs import Counts
from sync import projects
from sync.failed_records import open_letters
from sync.gateway import ProjectAccount, open_account, open_session
from sync.normalise import drain
from sync.projects import Lookup
from sync.pull import PullResult, disable, pull_project

RETRY_SECONDS = (2.0, 10.0, 60.0, 120.0, 240.0, 480.0)
"""Waits between attempts; a failure after the last one is final."""
BUSY_SECONDS = 5.0
CONFIG_SECONDS = 60.0

State = Literal["done", "failed", "queued", "cancelled"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RequestResult:
    request_id: int
    project_id: str
    stream: str | None
    crm_id: str | None
    state: State
    """queued: it is tried again later."""
    result: dict[str, Any] = field(default_factory=dict)
    error_word: ErrorWord | None = None
    error_message: str | None = None

    def as_row(self) -> dict[str, Any]:
        return {
            "request_id": self.request_id,
            "project_id": self.project_id,
            "stream": self.stream,
            "crm_id": self.crm_id,
            "state": self.state,
            "error_word": self.error_word,
            "error": self.error_message,
            **self.result,
        }


async def queue(
    connection: Connection,
    project_id: str,
    *,
    stream: str | None = None,
    crm_id: str | None = None,
    since: datetime | None = None,
    full: bool = False,
    origin: str = "manual",
    requested_by: str | None = None,
) -> int:
    """Queue a sync of a project, of one stream or one object of it; the request's id.

    If one for the same waits already, that is due now, and its id is given.
    """
    return await rows.enqueue(
        connection,
        project_id,
        stream=stream,
        crm_id=crm_id,
        since=since,
        is_full=full,
        origin=origin,
        requested_by=requested_by,
    )


async def run_due(
    pool: Pool,
    keyring: Keyring,
    *,
    limit: int | None = None,
    single_only: bool = False,
    older_than: float | None = None,
    request_id: int | None = None,
    lookup: Lookup = registry.get,
) -> list[RequestResult]:
    """Run requests that are due, one after the other, until none is left or `limit` are done.

    `single_only`: those for one object. `older_than`: those that have waited for so many seconds. `request_id`: that
    one alone. Raises psycopg.Error if the database is away: what was begun is taken up again by somebody else.
    """
    async with pool.connection() as connection:
        await rows.requeue_dead(connection)
    results: list[RequestResult] = []
    while limit is None or len(results) < limit:
        result = await run_next(
            pool, keyring, single_only=single_only, older_than=older_than, request_id=request_id, lookup=lookup
        )
        if result is None:
            break
        results.append(result)
    return results


async def run_next(
    pool: Pool,
    keyring: Keyring,
    *,
    single_only: bool = False,
    older_than: float | None = None,
    request_id: int | None = None,
    exclude_projects: Collection[str] = (),
    lookup: Lookup = registry.get,
) -> RequestResult | None:
    """Run the oldest request that is due; None if there is none."""
    async with pool.connection() as connection:
        request = await rows.claim(
            connection,
            single_only=single_only,
            older_than=older_than,
            request_id=request_id,
            exclude_projects=exclude_projects,
        )
        if request is None:
            return None
        return await run_claimed(pool, keyring, connection, request, lookup=lookup)


async def run_claimed(
    pool: Pool, keyring: Keyring, connection: Connection, request: Request, *, lookup: Lookup = registry.get
) -> RequestResult:
    """Run a request that was claimed on this connection, store how it ended, and give its lock back.

    If it is cancelled, the request waits for somebody else.
    """
    try:
        result = await _run(pool, keyring, connection, request, lookup)
    except BaseException:
        # Shutdown, or a bug: the row says `running` and the lock is given up, which is how others see that it is free.
        try:
            await rows.release(connection, request)
        except psycopg.Error:
            await connection.close()
        raise
    await rows.release(connection, request)
    return result


async def read_now(
    pool: Pool, keyring: Keyring, project_id: str, stream: str, crm_id: str, *, lookup: Lookup = registry.get
) -> dict[str, Any]:
    """Read one object from the CRM and apply it, without a request: what changed, as a row. Raises ConnectorError."""
    async with pool.connection() as connection:
        result = await _reread(pool, keyring, connection, project_id, stream, crm_id, "cli", lookup)
    return {"stream": stream, "crm_id": crm_id, **result}


async def _run(pool: Pool, keyring: Keyring, connection: Connection, request: Request, lookup: Lookup) -> RequestResult:
    try:
        if request.crm_id is not None and request.stream is not None:
            result = await _reread(
                pool,
                keyring,
                connection,
                request.project_id,
                request.stream,
                request.crm_id,
                "manual" if request.origin == "manual" else "webhook",
                lookup,
            )
        else:
            pulled = await pull_project(
                pool,
                keyring,
                request.project_id,
                streams=None if request.stream is None else [request.stream],
                since=request.since,
                full=request.is_full,
                trigger="manual",
                lookup=lookup,
            )
            result = await _brought(connection, pulled)
            if pulled.streams and all(stream.state == "busy" for stream in pulled.streams):
                waits = await rows.postpone(connection, request, BUSY_SECONDS, counts=False)
                return _result(request, "queued" if waits else "cancelled", result)
    except ConnectorError as error:
        return await _failed(connection, request, error)
    except psycopg.Error:
        raise
    except Exception as error:  # noqa: BLE001 - a bug for one object must neither repeat for ever nor stop the others
        _log.exception("request_failed", project_id=request.project_id, request_id=request.request_id)
        return await _failed(connection, request, PermanentError(f"Unexpected error: {type(error).__name__}"))
    async with connection.transaction():
        await rows.finish(connection, request, "done", result=result)
        await dead_letters.resolve_request(connection, request.project_id, request.stream, request.crm_id)
    return _result(request, "done", result)


async def _failed(connection: Connection, request: Request, error: ConnectorError) -> RequestResult:
    """Queue it again if that may help, else fail it for good with a dead letter."""
    if isinstance(error, RetryError) and request.attempts <= len(RETRY_SECONDS):
        seconds = max(RETRY_SECONDS[request.attempts - 1], error.retry_after or 0.0)
        waits = await rows.postpone(connection, request, seconds, error_word=error.word, error_message=error.message)
        return _result(request, "queued" if waits else "cancelled", error=error)
    if isinstance(error, ConfigError) and request.origin != "manual":
        # Nobody waits for the answer: it is asked for again once the project is enabled.
        waits = await rows.postpone(
            connection, request, CONFIG_SECONDS, error_word=error.word, error_message=error.message, counts=False
        )
        return _result(request, "queued" if waits else "cancelled", error=error)
    async with connection.transaction():
        await rows.finish(connection, request, "failed", error_word=error.word, error_message=error.message)
        what = f"{request.stream or 'sync'} {request.crm_id or ''}".strip()
        await logs.write(
            connection,
            request.project_id,
            "error",
            f"Request {request.request_id} ({what}) failed: {error.message}",
            error_word=error.word,
        )
        if not isinstance(error, ConfigError):
            letter = Letter("request", error.word, error.message, stream=request.stream, crm_id=request.crm_id)
            await open_letters(connection, request.project_id, [letter])
    return _result(request, "failed", error=error)


async def _reread(
    pool: Pool,
    keyring: Keyring,
    connection: Connection,
    project_id: str,
    stream: str,
    crm_id: str,
    trigger: str,
    lookup: Lookup,
) -> dict[str, Any]:
    """Read one object, land it, apply it. Raises ConnectorError."""
    project = await projects.load(connection, project_id, lookup)
    if not project.row.is_enabled:
        raise ConfigError(f"{project_id} is disabled: run `crm-elt project enable {project_id}`.")
    try:
        readable = project.capabilities.stream(stream).can_read_one
    except KeyError:
        readable = False
    if not readable:
        raise PermanentError(f"{project.row.crm} cannot read one object of {stream!r}.")
    began = time.monotonic()
    try:
        account = await open_account(pool, connection, keyring, project_id, lookup)
        async with open_session(pool, account) as http:
            record = await project.connector.read(http, account, stream, crm_id)
    except ConnectorError as error:
        elapsed = time.monotonic() - began
        if not (isinstance(error, NotFoundError) and await _is_known(connection, project_id, stream, crm_id, trigger)):
            await _note_failure(connection, project_id, stream, trigger, elapsed, error)
            if isinstance(error, ConfigError):
                await disable(connection, project_id, error)
            raise
        answer: RawRecord | ConnectorError = error
    else:
        answer = record
        elapsed = time.monotonic() - began
    # What others had waiting is applied along with it, or somebody else applies all of it: so this object's own are
    # counted in core and among the dead letters, not as what the drain did.
    before = await _events_read(connection, project_id, stream, crm_id)
    run_id, counts = await _land(connection, account, stream, crm_id, answer, trigger, elapsed)
    await drain(pool, project_id, wait=True, lookup=lookup)
    result: dict[str, Any] = (
        {"is_deleted": True}
        if isinstance(answer, ConnectorError)
        else {"new": counts.new, "changed": counts.changed, "unchanged": counts.unchanged}
    )
    return {
        **result,
        "events": await _events_read(connection, project_id, stream, crm_id) - before,
        "failed": await dead_letters.count_open_of_runs(connection, project_id, [run_id]),
    }


async def _brought(connection: Connection, pulled: PullResult) -> dict[str, Any]:
    """What a pull has brought, without what others had waiting in the queue that it emptied."""
    run_ids = [stream.run_id for stream in pulled.streams if stream.run_id is not None]
    return {
        "streams": [stream.as_row() for stream in pulled.streams],
        "applied": {
            "rows": sum(stream.counts.new + stream.counts.changed for stream in pulled.streams),
            "failed": await dead_letters.count_open_of_runs(connection, pulled.project_id, run_ids),
        },
    }


async def _events_read(connection: Connection, project_id: str, stream: str, crm_id: str) -> int:
    return await core.count_events(connection, project_id, crm_id, "reread") if stream == "orders" else 0


async def _note_failure(
    connection: Connection, project_id: str, stream: str, trigger: str, elapsed: float, error: ConnectorError
) -> None:
    """A re-read that failed counts in the statistics as a failed pull does."""
    async with connection.transaction():
        run_id = await runs.insert(
            connection, project_id, kind="reread", stream=stream, trigger=trigger, elapsed=elapsed
        )
        await runs.finish(
            connection, project_id, run_id, Counts(failed=1), error_word=error.word, error_message=error.message
        )


async def _is_known(connection: Connection, project_id: str, stream: str, crm_id: str, trigger: str) -> bool:
    """Whether an object that the CRM does not have was there once. Of what has no row in core of its own a webhook is
    word enough: what it led to, such as a sale, must end with the object."""
    if stream == "orders":
        return await core.order_summary(connection, project_id, crm_id) is not None
    if stream == "customers":
        return await core.knows_customer(connection, project_id, crm_id)
    return trigger == "webhook" or await raw.is_landed(connection, project_id, stream, crm_id)


async def _land(
    connection: Connection,
    account: ProjectAccount,
    stream: str,
    crm_id: str,
    answer: RawRecord | ConnectorError,
    trigger: str,
    elapsed: float,
) -> tuple[int, Counts]:
    """Store what the CRM answered, with its run, in one transaction; the run's id and counts."""
    project_id = account.project_id
    counts = Counts(pages=1, seen=1)
    async with connection.transaction():
        run_id = await runs.insert(
            connection, project_id, kind="reread", stream=stream, trigger=trigger, elapsed=elapsed
        )
        if isinstance(answer, ConnectorError):
            body = msgspec.json.encode({"status": answer.status or 404, "message": answer.message}).decode()
            await raw.land_tombstone(connection, project_id, account.crm, stream, crm_id, run_id, body)
            counts.changed = 1
        else:
            # A webhook may have changed core since the object was last read whole: then the same content is news.
            summary = await core.order_summary(connection, project_id, crm_id) if stream == "orders" else None
            landed = await raw.land_api_records(
                connection,
                project_id,
                account.crm,
                stream,
                run_id,
                [answer],
                even_unchanged=summary is not None and (summary.is_behind or not summary.has_items),
            )
            counts.new, counts.changed, counts.unchanged = landed.new, landed.changed, landed.unchanged
        await runs.finish(connection, project_id, run_id, counts)
    return run_id, counts


def _result(
    request: Request, state: State, result: dict[str, Any] | None = None, error: ConnectorError | None = None
) -> RequestResult:
    return RequestResult(
        request_id=request.request_id,
        project_id=request.project_id,
        stream=request.stream,
        crm_id=request.crm_id,
        state=state,
        result=result or {},
        error_word=None if error is None else error.word,
        error_message=None if error is None else error.message,
    )
