"""Manual syncs and re-reads: queue them, run those that are due, try again what may succeed later."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import psycopg
import structlog

from connectors import registry
from connectors.errors import ConfigError, ConnectorError, ErrorWord, PermanentError, RetryError
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import dead_letters, logs
from database.repositories import requests as rows
from database.repositories.dead_letters import Letter
from database.repositories.requests import Request
from sync.failed_records import open_letters
from sync.projects import Lookup
from sync.pull import PullResult, pull_project
from sync.rereads import reread, reread_one

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


async def run_together(
    pool: Pool, keyring: Keyring, connection: Connection, requests: Sequence[Request], *, lookup: Lookup = registry.get
) -> list[RequestResult]:
    """Run requests for single objects of one stream of a project, claimed on this connection: their objects are asked
    for side by side, and what comes is landed and applied at once. As `run_claimed` for each."""
    first = requests[0]
    if len(requests) == 1 or first.stream is None:
        return [await run_claimed(pool, keyring, connection, request, lookup=lookup) for request in requests]
    ids = [request.crm_id for request in requests if request.crm_id is not None]
    try:
        try:
            answers = await reread(
                pool, keyring, connection, first.project_id, first.stream, ids, _trigger(first), lookup
            )
        except ConnectorError as error:
            answers = dict.fromkeys(ids, error)
        except psycopg.Error:
            raise
        except Exception:  # noqa: BLE001 - a bug for one object must not stop the others: each by itself
            _log.exception("requests_failed_together", project_id=first.project_id, requests=len(requests))
            return [await run_claimed(pool, keyring, connection, request, lookup=lookup) for request in requests]
        done: list[tuple[Request, dict[str, Any]]] = []
        failed: list[tuple[Request, ConnectorError]] = []
        for request in requests:
            answer = answers[request.crm_id or ""]
            if isinstance(answer, ConnectorError):
                failed.append((request, answer))
            else:
                done.append((request, answer))
        async with connection.transaction():
            await rows.finish_done(connection, done)
            succeeded = [request.crm_id for request, _ in done]
            await dead_letters.resolve_requests(connection, first.project_id, first.stream, succeeded)
        results = [_result(request, "done", answer) for request, answer in done]
        results += [await _failed(connection, request, error) for request, error in failed]
    except BaseException:
        # As in `run_claimed`: the rows say `running`, and their locks are given up.
        try:
            await rows.release_many(connection, requests)
        except psycopg.Error:
            await connection.close()
        raise
    await rows.release_many(connection, requests)
    return results


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
        result = await reread_one(pool, keyring, connection, project_id, stream, crm_id, "cli", lookup)
    return {"stream": stream, "crm_id": crm_id, **result}


async def _run(pool: Pool, keyring: Keyring, connection: Connection, request: Request, lookup: Lookup) -> RequestResult:
    try:
        if request.crm_id is not None and request.stream is not None:
            result = await reread_one(
                pool, keyring, connection, request.project_id, request.stream, request.crm_id, _trigger(request), lookup
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


def _trigger(request: Request) -> str:
    return "manual" if request.origin == "manual" else "webhook"


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
