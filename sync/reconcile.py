"""The nightly comparison: which objects the CRM has and we do not, and which are gone there.

Neither is taken on trust. An object that seems missing or gone is read by its id where the CRM can do that; else what
is missing brings a full pull of the stream, and what is gone is marked deleted. A list that lacks a large part of what
is known is more likely cut short than true: then nothing is done, and somebody is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from connectors import registry
from connectors.errors import ConfigError, ConnectorError, PermanentError
from connectors.protocol import ReconcilingConnector, Stream
from database.connection import Connection, Pool
from database.encryption import Keyring
from database.repositories import locks, logs, raw, reconciliation, requests, runs
from database.repositories.runs import Counts
from sync import projects
from sync.gateway import ProjectAccount, open_account, open_session
from sync.normalise import drain
from sync.projects import Lookup, Project
from sync.pull import enabled_streams

MOST_GONE_SHARE = 0.1
MOST_GONE_FREE = 20
"""So many may be gone whatever their share: small accounts."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StreamReconciliation:
    stream: str
    listed: int = 0
    """Objects that the CRM has."""
    known: int = 0
    """Objects that had landed before."""
    missing: int = 0
    """At the CRM and not here: they are read now."""
    gone: int = 0
    """Here and not at the CRM: each is asked for, or marked deleted."""
    error: str | None = None

    def as_row(self) -> dict[str, Any]:
        return {
            "stream": self.stream, "listed": self.listed, "known": self.known, "missing": self.missing,
            "gone": self.gone, "error": self.error,
        }  # fmt: skip


async def reconcile_project(
    pool: Pool,
    keyring: Keyring,
    project_id: str,
    *,
    accept: bool = False,
    trigger: str = "cli",
    dagster_run_id: str | None = None,
    lookup: Lookup = registry.get,
) -> list[StreamReconciliation]:
    """Compare every stream that the CRM can list and the settings enable; none if it cannot list any.

    `accept`: do what follows from a list that lacks a large part of what is known, too. Raises ConfigError if there is
    no such project, it is disabled, or its account does not open; what is wrong with one stream stands in its result.
    """
    async with pool.connection() as connection:
        project = await projects.load(connection, project_id, lookup)
        if not project.row.is_enabled:
            raise ConfigError(f"{project_id} is disabled: run `crm-elt project enable {project_id}`.")
        await runs.abandon_dead(connection, project_id)
        account = await open_account(pool, connection, keyring, project_id, lookup)
    streams = [stream for stream in enabled_streams(project) if stream.can_list_ids]
    results = [
        await _Reconciling(pool, project, account, stream, accept, trigger, dagster_run_id).run() for stream in streams
    ]
    await drain(pool, project_id, wait=True, lookup=lookup)
    return results


@dataclass(slots=True)
class _Reconciling:
    pool: Pool
    project: Project
    account: ProjectAccount
    stream: Stream
    accept: bool
    trigger: str
    dagster_run_id: str | None

    async def run(self) -> StreamReconciliation:
        name, project_id = self.stream.name, self.account.project_id
        result = StreamReconciliation(name)
        async with locks.own_connection(self.pool) as connection:
            run_id = await runs.start(
                connection, project_id, kind="reconcile", stream=name, trigger=self.trigger,
                dagster_run_id=self.dagster_run_id,
            )  # fmt: skip
            counts = Counts()
            try:
                await self._compare(connection, run_id, result, counts)
            except ConnectorError as error:
                result.error = error.message
                await runs.finish(
                    connection, project_id, run_id, counts, error_word=error.word, error_message=error.message
                )
                await logs.write(
                    connection, project_id, "error", f"{name} were not compared: {error.message}", run_id=run_id,
                    error_word=error.word,
                )  # fmt: skip
                return result
            except BaseException as error:
                await runs.finish(
                    connection, project_id, run_id, counts, error_word="retry", error_message=type(error).__name__
                )
                raise
            await runs.finish(connection, project_id, run_id, counts)
            message = f"{name}: {result.listed} at the CRM, {result.missing} missing here, {result.gone} gone there."
            await logs.write(connection, project_id, "info", message, run_id=run_id)
        _log.info("reconciled", project_id=project_id, **{**result.as_row(), "run_id": run_id})
        return result

    async def _compare(self, connection: Connection, run_id: int, result: StreamReconciliation, counts: Counts) -> None:
        name, project_id = self.stream.name, self.account.project_id
        connector = self.project.connector
        if not isinstance(connector, ReconcilingConnector):
            raise PermanentError(f"{self.account.crm} says that it can list {name}, and has no way to do it")
        began = await reconciliation.begin(connection)
        async with open_session(self.pool, self.account) as http:
            async for ids in connector.list_ids(http, self.account, name):
                await reconciliation.add(connection, ids)
                counts.pages += 1
                counts.seen += len(ids)
        result.listed = counts.seen
        result.known = await reconciliation.count_known(connection, project_id, name)
        missing = await reconciliation.missing_here(connection, project_id, name)
        gone = await reconciliation.gone_there(connection, project_id, name, began)
        if len(gone) > max(MOST_GONE_FREE, MOST_GONE_SHARE * result.known) and not self.accept:
            raise PermanentError(
                f"the CRM lists {result.listed} {name} and lacks {len(gone)} of {result.known} known ones: nothing was "
                f"done; if that is right, run `crm-elt reconcile {project_id} --accept`"
            )
        result.missing, result.gone = len(missing), len(gone)
        counts.new, counts.changed = len(missing), len(gone)
        async with connection.transaction():
            if self.stream.can_read_one:
                await requests.enqueue_rereads(connection, project_id, [(name, crm_id) for crm_id in (*missing, *gone)])
                return
            if missing:
                await requests.enqueue(connection, project_id, stream=name, is_full=True, requested_by="reconcile")
            body = msgspec.json.encode({"message": "not in the CRM's list of all"}).decode()
            for crm_id in gone:
                await raw.land_tombstone(connection, project_id, self.account.crm, name, crm_id, run_id, body)
