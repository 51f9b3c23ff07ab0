"""Full resync of a project, at somebody's request: pull everything, then compare every object of both sides.

How far it is stands in sync.resyncs, in the transaction of each step: after a kill it goes on from there. Pulls keep to
the CRM's rate limit by themselves; what is to be sent is put into the outbox only as fast as that empties, so that the
changes of the day do not queue behind it.

One of the kind `check` is the nightly comparison at somebody's request: it reads nothing, and sends nothing new.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import structlog

from connectors import registry
from connectors.errors import ConnectorError, RetryError
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import locks, logs, resyncs
from database.repositories.resyncs import ResyncRow
from sync import projects
from sync.projects import Lookup, Project
from sync.pull import enabled_streams, pull_project
from sync.two_way.comparison import Comparison, Found, Position
from sync.two_way.consistency import check_project
from sync.two_way.objects import ENTITIES, Entity

PULL, END = "pull", "end"
"""The first stage and what follows the last; the others are kinds of objects."""
TRIGGER = "resync"
"""Of the runs of its pulls."""
MOST_WAITING = 500
"""Rows of the outbox that may wait while more are put there."""
LOOK_SECONDS = 1.0
"""How often it is looked whether it was cancelled, and whether the outbox has room."""
RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 60.0)
"""Waits while the CRM does not answer; after the last one it fails."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ResyncProgress:
    stage: str
    done: int
    total: int | None
    note: str = ""


Progress = Callable[[ResyncProgress], None]


@dataclass(frozen=True, slots=True)
class ResyncResult:
    resync_id: int
    project_id: str
    state: str
    """done, failed, cancelled; or queued: it was stopped and goes on later."""
    found: dict[str, dict[str, int]] = field(default_factory=dict)
    """By kind of object."""
    error_word: str | None = None
    message: str | None = None

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


class _CancelledError(Exception):
    """Somebody has cancelled it."""


class _StoppedError(Exception):
    """The process is to end."""


async def run_next(
    pool: Pool,
    keyring: Keyring,
    *,
    resync_id: int | None = None,
    stop: asyncio.Event | None = None,
    lookup: Lookup = registry.get,
    progress: Progress | None = None,
) -> ResyncResult | None:
    """Run the oldest resync that waits, or this one, to its end; None if there is none, or somebody else runs it.

    If `stop` is set or the task is cancelled, it waits for whoever goes on with it.
    """
    async with locks.own_connection(pool) as holder:
        await resyncs.requeue_dead(holder)
        row = await resyncs.claim(holder, resync_id)
        if row is None:
            return None
        work = _Resync(pool, keyring, holder, row, stop or asyncio.Event(), lookup, progress)
        return await work.run()


@dataclass(slots=True)
class _Resync:
    pool: Pool
    keyring: Keyring
    holder: Connection
    """Holds the lock; nobody else uses it."""
    row: ResyncRow
    stop: asyncio.Event
    lookup: Lookup
    progress: Progress | None

    @property
    def project_id(self) -> str:
        return self.row.project_id

    async def run(self) -> ResyncResult:
        _log.info("resync_started", project_id=self.project_id, resync_id=self.row.resync_id, stage=self.row.stage)
        try:
            found = await self._work()
        except _CancelledError:
            return self._result("cancelled")
        except _StoppedError:
            await resyncs.finish(self.holder, self.row, "queued")
            return self._result("queued")
        except ConnectorError as error:
            await resyncs.finish(self.holder, self.row, "failed", error_word=error.word, message=error.message)
            message = f"The full resync {self.row.resync_id} failed: {error.message}"
            await logs.write(self.holder, self.project_id, "error", message, error_word=error.word)
            return self._result("failed", error_word=error.word, message=error.message)
        except psycopg.Error:
            raise  # its lock goes with the connection, and somebody else goes on
        except asyncio.CancelledError:
            await resyncs.finish(self.holder, self.row, "queued")
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not be tried again for ever
            _log.exception("resync_failed", project_id=self.project_id, resync_id=self.row.resync_id)
            message = f"Unexpected error: {type(error).__name__}"
            await resyncs.finish(self.holder, self.row, "failed", error_word="permanent", message=message)
            return self._result("failed", error_word="permanent", message=message)
        message = "; ".join(_sentence(entity, counts) for entity, counts in found.items())
        what = "Full resync" if self.row.kind == "full" else "Comparison"
        await resyncs.finish(self.holder, self.row, "done", message=message)
        await logs.write(self.holder, self.project_id, "info", f"{what} {self.row.resync_id}: {message}.")
        return self._result("done", found=found, message=message)

    async def _work(self) -> dict[str, dict[str, int]]:
        project = await projects.load(self.holder, self.project_id, self.lookup)
        stages: tuple[str, ...] = (PULL, *ENTITIES, END)
        if self.row.kind == "check":
            return await self._compare_only()
        position = dict(self.row.position)
        begun = stages.index(self.row.stage) if self.row.stage in stages else 0
        if begun == 0:
            await self._pull_all(project, position)
            position = {"found": {}}
        for entity in ENTITIES[max(begun - 1, 0) :]:
            following = stages[stages.index(entity) + 1]
            await self._compare(Comparison(project, entity, everything=True), entity, following, position)
        found: dict[str, dict[str, int]] = position["found"]
        return found

    async def _compare_only(self) -> dict[str, dict[str, int]]:
        stop = asyncio.Event()
        comparing = asyncio.create_task(check_project(self.pool, self.project_id, lookup=self.lookup, stop=stop))
        try:
            while not comparing.done():
                await asyncio.wait([comparing], timeout=LOOK_SECONDS)
                await self._check()
        finally:
            stop.set()  # it ends with the portion that it is at
            await asyncio.gather(comparing, return_exceptions=True)
        found: dict[str, dict[str, int]] = {one.entity: asdict(one.found) for one in comparing.result()}
        compared = sum(_seen(Found(**counts)) for counts in found.values())
        await self._save(END, {"found": found}, compared, compared)
        return found

    async def _pull_all(self, project: Project, position: dict[str, Any]) -> None:
        if not project.capabilities.has_api:
            return
        streams = sorted(enabled_streams(project), key=lambda stream: not stream.is_dictionary)
        done = list(position.get("done", []))
        for stream in streams:
            if stream.name not in done:
                await self._save(PULL, position, len(done), len(streams), f"Pulls {stream.name}.")
                await self._pull(stream.name, position)
                done.append(stream.name)
                position["done"] = done
                await self._save(PULL, position, len(done), len(streams))

    async def _pull(self, stream: str, position: dict[str, Any]) -> None:
        """One stream whole; if an attempt was cut off, the rest of it."""
        for wait in (*RETRY_SECONDS, None):
            try:
                while not await self._attempt(stream):
                    await self._pause(LOOK_SECONDS)  # somebody else pulls it just now
                return
            except RetryError as error:
                if wait is None:
                    raise
                await self._save(
                    PULL, position, len(position.get("done", [])), None, f"Waits for the CRM: {error.message}"
                )
                await self._pause(max(wait, error.retry_after or 0.0))

    async def _attempt(self, stream: str) -> bool:
        """Pull a stream; False if somebody else does. Raises ConnectorError."""
        is_full = not await resyncs.has_landed(self.holder, self.row, stream, TRIGGER)
        pulling = asyncio.create_task(
            pull_project(
                self.pool, self.keyring, self.project_id, streams=[stream], full=is_full, trigger=TRIGGER,
                progress=lambda state: self._tell(PULL, state.rows, state.total, state.stream), lookup=self.lookup,
            )
        )  # fmt: skip
        try:
            while not pulling.done():
                await asyncio.wait([pulling], timeout=LOOK_SECONDS)
                await self._check()
        finally:
            if not pulling.done():
                pulling.cancel()
                await asyncio.gather(pulling, return_exceptions=True)
        result = pulling.result()
        return all(one.state != "busy" for one in result.streams)

    async def _compare(self, comparison: Comparison, entity: Entity, following: str, position: dict[str, Any]) -> None:
        stored = position.get("at")
        at: Position | None = Position() if stored is None else Position(**stored)
        found = Found(**position["found"].get(entity, {}))
        total = await comparison.total(self.holder)
        while at is not None:
            await self._wait_for_room(entity, position, found, total)
            async with self.holder.transaction():
                part, at = await comparison.portion(self.holder, at)
                found.add(part)
                position["found"][entity] = asdict(found)
                position["at"] = None if at is None else asdict(at)
                seen = (_seen(found), max(total, _seen(found)))
                await self._save(entity if at is not None else following, position, *seen)
            self._tell(entity, *seen)

    async def _wait_for_room(self, entity: Entity, position: dict[str, Any], found: Found, total: int) -> None:
        while await resyncs.count_to_send(self.holder, self.project_id, MOST_WAITING) >= MOST_WAITING:
            note = "Waits for the outbox to empty: see that `crm-elt relay` runs and the CRM answers."
            await self._save(entity, position, _seen(found), total, note)
            await self._pause(LOOK_SECONDS)
        await self._check()

    async def _save(
        self, stage: str, position: dict[str, Any], done: int, total: int | None, note: str | None = None
    ) -> None:
        if not await resyncs.save(self.holder, self.row, stage, position, done, total, note):
            raise _CancelledError
        if note is not None:
            self._tell(stage, done, total, note)

    async def _check(self) -> None:
        if self.stop.is_set():
            raise _StoppedError
        if not await resyncs.is_running(self.holder, self.row):
            raise _CancelledError

    async def _pause(self, seconds: float) -> None:
        """Wait, but not past a stop or a cancellation."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), min(left, LOOK_SECONDS))
            await self._check()

    def _tell(self, stage: str, done: int, total: int | None, note: str = "") -> None:
        if self.progress is not None:
            self.progress(ResyncProgress(stage, done, total, note))

    def _result(
        self,
        state: str,
        *,
        found: dict[str, dict[str, int]] | None = None,
        error_word: str | None = None,
        message: str | None = None,
    ) -> ResyncResult:
        _log.info("resync_ended", project_id=self.project_id, resync_id=self.row.resync_id, state=state)
        return ResyncResult(self.row.resync_id, self.project_id, state, found or {}, error_word, message)


def _seen(found: Found) -> int:
    return found.compared + found.missing_at_crm + found.missing_in_vms


def _sentence(entity: str, counts: dict[str, int]) -> str:
    return (
        f"{entity}: {counts['compared']} compared, {counts['differing']} differed, "
        f"{counts['missing_at_crm']} missing at the CRM, {counts['missing_in_vms']} missing in vms"
    )


def as_row(row: ResyncRow) -> dict[str, Any]:
    """What a person is told of a resync."""
    shown = ("resync_id", "project_id", "state", "stage", "done", "total", "message", "error_word")
    times: dict[str, datetime | None] = {
        name: getattr(row, name) for name in ("requested_at", "started_at", "finished_at")
    }
    return {**{name: getattr(row, name) for name in shown}, **times, "found": row.position.get("found", {})}
