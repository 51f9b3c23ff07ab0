"""CRM API -> raw: pages of each stream, landed with the cursor in one transaction, then applied to core."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import psycopg
import structlog

from connectors import registry
from connectors.errors import ConfigError, ConnectorError, ErrorWord, UnreachableError
from connectors.http import HttpSession
from connectors.protocol import Connector, Cursor, Page, RawRecord, Stream, Window
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import cursors, locks, logs, raw, requests, runs, settings
from database.repositories.dead_letters import Letter
from database.repositories.runs import Counts
from sync import projects
from sync.failed_records import open_letters
from sync.garbage import rare_collections
from sync.gateway import ProjectAccount, open_account, open_session
from sync.landings import Applier, applying
from sync.normalise import DrainResult
from sync.projects import Lookup, Project
from sync.settings.rows import SYNC_DEFAULTS
from sync.settings.trials import waits
from sync.tracebacks import frames

FLUSH_RECORDS = 1000
FLUSH_CHARACTERS = 8_000_000
FLUSH_SECONDS = 1.0
"""Pages share a transaction up to these; what a killed pull has not landed by then is asked for again."""
PAGES_AHEAD = 4
"""Pages that are read while others are being landed."""
REREADS_AT_ONCE = 1000
SWITCHED: dict[str, tuple[str, ...]] = {
    "orders": ("orders", "order_history"),
    "customers": ("customers",),
    "products": ("products", "offers", "stocks"),
}
"""Key of a project's `sync:` settings -> the streams it switches; others are always pulled."""

StreamState = Literal["success", "failed", "busy"]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StreamResult:
    stream: str
    state: StreamState = "success"
    """busy: somebody else pulls this stream just now, nothing was done."""
    run_id: int | None = None
    counts: Counts = field(default_factory=Counts)
    error_word: ErrorWord | None = None
    error_message: str | None = None

    def as_row(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "stream": self.stream,
            "state": self.state,
            "seen": counts.seen,
            "new": counts.new,
            "changed": counts.changed,
            "unchanged": counts.unchanged,
            "failed": counts.failed,
            "error": self.error_message,
        }


@dataclass(slots=True)
class PullResult:
    project_id: str
    streams: list[StreamResult] = field(default_factory=list)
    applied: DrainResult = field(default_factory=DrainResult)


@dataclass(frozen=True, slots=True)
class PullProgress:
    stream: str
    rows: int
    """Records seen so far."""
    total: int | None
    """Where the API tells."""


Progress = Callable[[PullProgress], None]


async def pull_project(
    pool: Pool,
    keyring: Keyring,
    project_id: str,
    *,
    streams: Sequence[str] | None = None,
    window: Window | None = None,
    since: datetime | None = None,
    full: bool = False,
    trigger: str = "cli",
    dagster_run_id: str | None = None,
    progress: Progress | None = None,
    lookup: Lookup = registry.get,
) -> PullResult:
    """Pull a project and apply what came to core.

    `streams` None: dictionaries, then what the project's settings enable. What was stored by an earlier pull is the
    start, unless `full` (everything), `since` or `window` (that time alone; the stored cursor stays as it is) is given.

    Raises ConnectorError, the gravest of the streams', after all of them were tried and what had landed is applied; a
    ConfigError also disables the project. Raises ConfigError for an unknown or disabled project.
    """
    async with pool.connection() as connection:
        project = await projects.load(connection, project_id, lookup)
        if not project.row.is_enabled:
            step = "test" if waits(project.row) else "enable"
            raise ConfigError(
                f"{project_id} is disabled ({project.row.disabled_reason or 'by hand'}): "
                f"run `crm-elt project {step} {project_id}`."
            )
        if not project.capabilities.has_api:
            raise ConfigError(f"{project_id} has no API to pull, its records come as files: upload them.")
        chosen = _choose(project, streams, window)
        await runs.abandon_dead(connection, project_id)
        try:
            account = await open_account(pool, connection, keyring, project_id, lookup)
        except ConfigError as error:
            await disable(connection, project_id, error)
            raise
    if since is not None:
        account = replace(account, since=since)
    result = PullResult(project_id)
    errors: list[ConnectorError] = []
    with rare_collections():
        async with applying(pool, project_id, lookup) as applier:
            job = _Job(
                pool,
                project.connector,
                account,
                applier,
                window,
                since is not None,
                full,
                trigger,
                dagster_run_id,
                progress,
            )
            try:
                async with open_session(pool, account) as http:
                    for stream in chosen:
                        done = StreamResult(stream.name)
                        result.streams.append(done)
                        try:
                            await job.pull(http, stream, done)
                        except ConfigError:
                            raise
                        except UnreachableError as error:
                            errors.append(error)
                            break  # the other streams would wait for the same nobody, and keep others from their turn
                        except ConnectorError as error:
                            errors.append(error)
            except ConfigError as error:
                errors.append(error)
    result.applied = applier.result
    async with pool.connection() as connection:
        if config := next((error for error in errors if isinstance(error, ConfigError)), None):
            await disable(connection, project_id, config)
            raise config
        if any(stream.name == "orders" and stream.can_read_one for stream in chosen):
            await requests.enqueue_orders_without_items(connection, project_id, "orders", REREADS_AT_ONCE)
    if errors:
        raise errors[0]
    return result


async def disable(connection: Connection, project_id: str, error: ConfigError) -> None:
    """Stop a project whose settings are wrong, and tell its owner."""
    async with connection.transaction():
        if await settings.set_enabled(connection, project_id, False, error.message):
            await logs.write(
                connection, project_id, "error", f"The project was disabled: {error.message}", error_word=error.word
            )
    _log.error("project_disabled", project_id=project_id, error_word=error.word, error=error.message)


@dataclass(frozen=True, slots=True)
class _Job:
    pool: Pool
    connector: Connector
    account: ProjectAccount
    applier: Applier
    window: Window | None
    is_since: bool
    is_full: bool
    trigger: str
    dagster_run_id: str | None
    progress: Progress | None

    @property
    def project_id(self) -> str:
        return self.account.project_id

    async def pull(self, http: HttpSession, stream: Stream, result: StreamResult) -> None:
        """One stream, one run. Raises ConnectorError, with the run marked as failed."""
        lock = f"pull.{self.project_id}.{stream.name}"
        if self.window is not None:  # days of a backfill do not touch each other, nor the cursor
            lock += f".{self.window.start.isoformat()}.{self.window.end.isoformat()}"
        async with locks.own_connection(self.pool) as holder:
            if not await locks.try_session(holder, lock):
                result.state = "busy"
                await self._log(
                    "info", f"{stream.name}: another pull of this stream is under way, this one did nothing."
                )
                return
            result.run_id = await runs.start(
                holder,
                self.project_id,
                kind="pull" if self.window is None else "backfill",
                stream=stream.name,
                trigger=self.trigger,
                dagster_run_id=self.dagster_run_id,
            )
            try:
                await self._pull(http, stream, result)
            except ConnectorError as error:
                result.state, result.error_word, result.error_message = "failed", error.word, error.message
                await self._finish(result, error)
                raise
            except psycopg.Error:
                raise  # nothing can be written now; the run is found abandoned later
            except Exception as error:
                result.state, result.error_word = "failed", "permanent"
                result.error_message = f"Unexpected error: {type(error).__name__}"
                await self._finish(result, error)
                raise
            await self._finish(result)

    async def _pull(self, http: HttpSession, stream: Stream, result: StreamResult) -> None:
        keeps_cursor = self.window is None and not self.is_since
        cursor: Cursor | None = None
        if keeps_cursor and not self.is_full:
            async with self.pool.connection() as connection:
                cursor = await cursors.load(connection, self.project_id, stream.name)
        pages = self.connector.pull(http, self.account, stream.name, cursor, self.window)
        pending = _Pending()
        async with _read_ahead(pages) as incoming:
            while True:
                try:
                    async with asyncio.timeout_at(pending.due):
                        page = await incoming.get()
                except TimeoutError:
                    await self._flush(stream, pending, result, keeps_cursor)
                    continue
                if not isinstance(page, Page):
                    break
                for record in page.records:
                    if pending.has_another_version(record):  # both are landed, one after the other
                        await self._flush(stream, pending, result, keeps_cursor)
                    pending.add(record)
                pending.end_page(page)
                if pending.is_full:
                    await self._flush(stream, pending, result, keeps_cursor)
        await self._flush(stream, pending, result, keeps_cursor)
        if page is not None:
            raise page

    async def _flush(self, stream: Stream, pending: _Pending, result: StreamResult, keeps_cursor: bool) -> None:
        """Land what is pending, with the cursor, in one transaction."""
        if not pending.pages and not pending.records:
            return
        await self.applier.room()
        counts = result.counts
        records = list(pending.records.values())
        async with self.pool.connection() as connection, connection.transaction():
            landed = raw.Landed(0, 0, 0)
            if records:
                landed = await raw.land_api_records(
                    connection, self.project_id, self.account.crm, stream.name, result.run_id, records
                )
            if pending.problems:
                await open_letters(
                    connection,
                    self.project_id,
                    [Letter("api", "skip_row", problem, stream=stream.name) for problem in pending.problems],
                )
            if keeps_cursor and pending.cursor is not None:
                await cursors.store(connection, self.project_id, stream.name, pending.cursor)
            after = Counts(
                pages=counts.pages + pending.pages,
                seen=counts.seen + pending.seen,
                new=counts.new + landed.new,
                changed=counts.changed + landed.changed,
                # A record that came twice on these pages is as good as unchanged.
                unchanged=counts.unchanged + landed.unchanged + pending.seen - len(pending.records),
                failed=counts.failed + len(pending.problems),
            )
            assert result.run_id is not None
            await runs.update(connection, self.project_id, result.run_id, after)
        result.counts = after
        self.applier.landed(raw.rows_of(landed, self.account.crm, stream.name, records, origin="pull"))
        total = pending.total
        pending.clear()
        if self.progress is not None:
            self.progress(PullProgress(stream.name, after.seen, total))

    async def _finish(self, result: StreamResult, error: Exception | None = None) -> None:
        counts, word = result.counts, result.error_word
        assert result.run_id is not None
        message = f"Pulled {result.stream}: {counts.seen} seen, {counts.new} new, {counts.changed} changed."
        if result.state == "failed":
            message = f"Pulling {result.stream} failed after {counts.seen} records: {result.error_message}"
        async with self.pool.connection() as connection, connection.transaction():
            await runs.finish(
                connection,
                self.project_id,
                result.run_id,
                counts,
                error_word=word,
                error_message=result.error_message,
            )
            await logs.write(
                connection,
                self.project_id,
                "info" if word is None else "warning" if word == "retry" else "error",
                message,
                run_id=result.run_id,
                error_word=word,
                details={
                    "pages": counts.pages,
                    "unchanged": counts.unchanged,
                    "failed": counts.failed,
                    **({} if error is None else {"traceback": frames(error)}),
                },
            )
        _log.info(
            "pulled" if word is None else "pull_failed",
            project_id=self.project_id,
            stream=result.stream,
            run_id=result.run_id,
            seen=counts.seen,
            new=counts.new,
            changed=counts.changed,
            error_word=word,
            error=result.error_message,
        )

    async def _log(self, level: logs.Level, message: str) -> None:
        async with self.pool.connection() as connection:
            await logs.write(connection, self.project_id, level, message)
        _log.info("pull_busy", project_id=self.project_id, message=message)


class _Pending:
    """Pages that are read and not landed yet."""

    def __init__(self) -> None:
        self.records: dict[str, RawRecord] = {}
        self.problems: list[str] = []
        self.cursor: Cursor | None = None
        self.total: int | None = None
        self.pages = 0
        self.seen = 0
        self.characters = 0
        self.due: float | None = None
        """On the event loop's clock; None while nothing is pending."""

    def has_another_version(self, record: RawRecord) -> bool:
        known = self.records.get(record.crm_id)
        return known is not None and known.content_hash != record.content_hash

    def add(self, record: RawRecord) -> None:
        self.records[record.crm_id] = record
        self.characters += len(record.body)
        self.seen += 1

    def end_page(self, page: Page) -> None:
        if self.due is None:
            self.due = asyncio.get_running_loop().time() + FLUSH_SECONDS
        self.problems += page.problems
        self.pages += 1
        self.cursor = page.cursor if page.cursor is not None else self.cursor
        self.total = page.total if page.total is not None else self.total

    @property
    def is_full(self) -> bool:
        return (
            len(self.records) >= FLUSH_RECORDS
            or self.characters >= FLUSH_CHARACTERS
            or (self.due is not None and asyncio.get_running_loop().time() >= self.due)
        )

    def clear(self) -> None:
        """Forget what has landed; the total is of the whole pull."""
        self.records, self.problems = {}, []
        self.cursor, self.due = None, None
        self.pages = self.seen = self.characters = 0


@asynccontextmanager
async def _read_ahead(
    pages: AsyncIterator[Page],
) -> AsyncIterator[asyncio.Queue[Page | Exception | None]]:
    """Pages as they come, then None, or the error that ended them; reading goes on while the block is busy."""
    queue: asyncio.Queue[Page | Exception | None] = asyncio.Queue(PAGES_AHEAD)

    async def read() -> None:
        end: Exception | None = None
        try:
            async for page in pages:
                await queue.put(page)
        except Exception as error:  # noqa: BLE001 - handed over, and raised there once the pages before it have landed
            end = error
        finally:
            if isinstance(pages, AsyncGenerator):
                await pages.aclose()
        await queue.put(end)

    task = asyncio.create_task(read())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _choose(project: Project, names: Sequence[str] | None, window: Window | None) -> list[Stream]:
    """The streams to pull, dictionaries first. Of the names, those that other projects of the CRM have and this one has
    not are left out. Raises ConfigError if one is unknown, or none is left."""
    capabilities, crm = project.capabilities, project.row.crm
    if names is not None:
        known = {stream.name for stream in capabilities.streams}
        of_others = {stream.name for stream in project.connector.capabilities.streams} - known
        names = [name for name in names if name not in of_others] or names
        if unknown := [name for name in names if name not in known]:
            names_known = ", ".join(stream.name for stream in capabilities.streams)
            raise ConfigError(f"{crm} has no stream {unknown[0]!r}: it has {names_known}.")
        if window is not None and (lacking := [name for name in names if not capabilities.stream(name).has_windows]):
            raise ConfigError(f"{crm} cannot pull {lacking[0]!r} for a period: pull it whole.")
        chosen = [stream for stream in capabilities.streams if stream.name in names]
    else:
        chosen = enabled_streams(project)
        if window is not None:
            chosen = [stream for stream in chosen if stream.has_windows]
    return sorted(chosen, key=lambda stream: not stream.is_dictionary)


def enabled_streams(project: Project) -> list[Stream]:
    """The streams that the project's settings do not switch off."""
    enabled = {**SYNC_DEFAULTS, **project.row.sync}
    off = {stream for key, streams in SWITCHED.items() if not enabled.get(key) for stream in streams}
    return [stream for stream in project.capabilities.streams if stream.name not in off]
