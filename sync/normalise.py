"""Raw -> core: the one path by which anything gets into core, for relay, pull, process and replay.

A project has one writer at a time (an advisory lock). A transaction takes entries of the queue in order, maps their raw
rows, writes core, and deletes the entries: whatever dies in between leaves the entries for the next one, and applying a
row twice changes nothing. A row that cannot be applied becomes a dead letter and does not hold up the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from connectors import registry
from connectors.errors import ConfigError, ConnectorError, ErrorWord, SkipRowError
from connectors.protocol import Connector
from connectors.records import Batch
from database.connection import Connection, Pool
from database.repositories import core, dead_letters, locks, logs, queue, raw, requests, stream_events, transactions
from database.repositories.dead_letters import Letter
from database.repositories.queue import Entry
from database.repositories.raw import RawRow
from database.repositories.stream_events import NewEvent
from sync import projects
from sync.failed_records import open_letters
from sync.folding import Changes, Known, Mapped, fold
from sync.projects import Lookup, Project
from sync.record_errors import describe, is_of_a_record
from sync.tracebacks import frames
from sync.two_way.events import Drained, changes_of_core
from sync.two_way.flags import flags_of
from sync.two_way.touched import Touched, without_echoes
from sync.validation import check

BATCH_ROWS = 2000
"""Raw rows per transaction."""
PORTION_CHARACTERS = 8_000_000
"""Text that is held at once; a portion of a batch is written before the next one is read."""
YIELD_ROWS = 50
"""Rows that are mapped before other tasks (a pull's requests) have their turn."""
LOGGED_FAILURES = 20
"""Of a portion, in the integration log one by one."""
LOGGED_CHARACTERS = 4000

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class DrainResult:
    rows: int = 0
    """Raw rows taken from the queue."""
    events: int = 0
    """Status events that were new."""
    failed: int = 0
    """Raw rows of which nothing, or not all, could be applied: dead letters."""
    rereads: int = 0
    """Objects that are to be read from the CRM."""
    busy: list[str] = field(default_factory=list)
    """Projects that somebody else is writing just now."""

    def add(self, other: DrainResult) -> None:
        self.rows += other.rows
        self.events += other.events
        self.failed += other.failed
        self.rereads += other.rereads

    def as_row(self) -> dict[str, int]:
        return {"rows": self.rows, "events": self.events, "failed": self.failed, "rereads": self.rereads}


Progress = Callable[[DrainResult], None]


class Landings(Protocol):
    """Rows of raw.api_records that the caller has at hand: sync.landings.Landings."""

    def of(self, entries: Sequence[Entry]) -> Sequence[RawRow] | None:
        """The rows of these entries in their order; None if one of them is not here."""
        ...

    def forget(self, entries: Sequence[Entry]) -> None:
        """These are applied."""
        ...


async def drain(
    pool: Pool,
    project_id: str | None = None,
    *,
    limit: int | None = None,
    wait: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    landings: Landings | None = None,
    lookup: Lookup = registry.get,
) -> DrainResult:
    """Apply what is queued, of one project or of all, until the queue is empty or about `limit` raw rows are done.

    A project that somebody else drains is left to them (`busy`), or waited for with `wait`. `stop` is asked between
    transactions. `landings` spare reading what is at hand. Raises psycopg.Error if the database is away; what was
    committed stays.
    """
    result = DrainResult()
    if project_id is None:
        async with pool.connection() as connection:
            names = await queue.due_projects(connection)
    else:
        names = [project_id]
    for name in names:
        while not stop() and (limit is None or result.rows < limit):
            rows = BATCH_ROWS if limit is None else min(BATCH_ROWS, limit - result.rows)
            done = await _drain_batch(pool, name, rows, wait=wait, landings=landings, lookup=lookup)
            if done is None:
                result.busy.append(name)
                break
            if not done.rows:
                break
            result.add(done)
            if progress is not None:
                progress(result)
    return result


async def _drain_batch(
    pool: Pool, project_id: str, max_rows: int, *, wait: bool, landings: Landings | None, lookup: Lookup
) -> DrainResult | None:
    """One transaction; None if somebody else writes the project."""
    async with pool.connection() as connection, connection.transaction():
        if wait:
            await locks.wait_transaction(connection, queue.lock_name(project_id))
        elif not await locks.try_transaction(connection, queue.lock_name(project_id)):
            return None
        entries = await queue.take(connection, project_id, max_rows)
        result = DrainResult()
        if not entries:
            return result
        writer = await Writer.open(connection, project_id, lookup)
        if landings is not None and (at_hand := landings.of(entries)) is not None:
            result.add(await writer.apply(at_hand))
        else:
            portions = raw.read_entries(
                connection, project_id, entries, max_rows=max_rows, max_characters=PORTION_CHARACTERS
            )
            async for rows in portions:
                result.add(await writer.apply(rows))
        await queue.delete(connection, project_id, [entry.queue_id for entry in entries])
        await writer.finish()
    if landings is not None:
        landings.forget(entries)
    if result.failed:
        _log.warning("records_failed", project_id=project_id, failed=result.failed, rows=result.rows)
    return result


class Writer:
    """Applies raw rows to a project's core, in a transaction of the caller that holds the project's lock."""

    def __init__(
        self,
        connection: Connection,
        project_id: str,
        project: Project | ConfigError,
        lookup: Lookup,
        *,
        is_replay: bool,
        notes_sales: bool,
    ) -> None:
        self._connection = connection
        self._project_id = project_id
        self._project = project
        self._lookup = lookup
        self._is_replay = is_replay
        self._sales: set[str] | None = set() if notes_sales else None
        self._touched = Touched()
        self._drained = Drained()

    @classmethod
    async def open(
        cls,
        connection: Connection,
        project_id: str,
        lookup: Lookup = registry.get,
        *,
        is_replay: bool = False,
        notes_sales: bool = True,
    ) -> Writer:
        """`is_replay`: nothing is read again from the CRM, and what a person has discarded stays so. Without
        `notes_sales` the changed sales are not kept in mind, and `finish` notes all of the project's."""
        try:
            known = await projects.load(connection, project_id, lookup)
            looks = not is_replay and flags_of(known.row).writes
            project: Project | ConfigError = replace(known, context=replace(known.context, looks_for_echoes=looks))
        except ConfigError as error:
            project = error
        return cls(connection, project_id, project, lookup, is_replay=is_replay, notes_sales=notes_sales)

    async def apply(self, rows: Sequence[RawRow]) -> DrainResult:
        """Map and write rows in their order; those that cannot be applied become dead letters."""
        letters: list[Letter] = []
        mapped: list[tuple[RawRow, Mapped]] = []
        for position, row in enumerate(rows):
            if position % YIELD_ROWS == YIELD_ROWS - 1:
                await asyncio.sleep(0)
            try:
                batch = self._map(row)
                check(batch, row.body or "")
            except ConnectorError as error:
                letters.append(_letter(row, error.word, error.message))
                continue
            except Exception as error:  # noqa: BLE001 - a connector's bug must not hold up the other rows
                _log.exception("mapping_failed", project_id=self._project_id, source=row.source, raw_id=row.raw_id)
                letter = _letter(row, "skip_row", f"Mapping failed: {describe(error)}")
                letters.append(replace(letter, frames=frames(error)))
                continue
            letters += [
                _letter(row, "skip_row", problem.reason, stream=problem.stream, crm_id=problem.crm_id)
                for problem in batch.problems
            ]
            mapped.append((row, Mapped(batch, row.origin, row.arrived_at or datetime.now(UTC), row.crm or "")))
            self._learn(batch)
        result = DrainResult(rows=len(rows))
        await self._write(mapped, result, letters)
        if letters:
            await open_letters(self._connection, self._project_id, letters, also_discarded=not self._is_replay)
            await self._log(letters)
        failed = {(letter.source, letter.raw_id) for letter in letters}
        result.failed = len(failed)
        await dead_letters.resolve_applied(
            self._connection,
            self._project_id,
            [
                (row.source, row.raw_id, row.stream, row.crm_id)
                for row, _ in mapped
                if (row.source, row.raw_id) not in failed
            ],
        )
        return result

    async def _log(self, letters: Sequence[Letter]) -> None:
        """The first failures of a batch, each with what failed (masked) and where; all are among the dead letters."""
        connector = self._project.connector if isinstance(self._project, Project) else None
        entries = []
        for letter in letters[:LOGGED_FAILURES]:
            what = " ".join(part for part in (letter.stream or letter.source, letter.crm_id) if part)
            details: dict[str, object] = {"source": letter.source, "raw_id": letter.raw_id}
            if connector is not None and letter.payload is not None:
                details["payload"] = connector.mask_payload(letter.payload)[:LOGGED_CHARACTERS].replace("\x00", "")
            if letter.frames:
                details["traceback"] = letter.frames
            entries.append((f"{what}: {letter.reason}", letter.error_word, details))
        if left := len(letters) - len(entries):
            entries.append((f"{left} more records could not be applied: see the dead letters.", "skip_row", {}))
        await logs.write_many(self._connection, self._project_id, "error", entries)

    async def finish(self) -> None:
        """The last writes of the caller's transaction: what it changed is on its way into vms, joins the feed of
        transactions, and is told to those who listen; of what goes into vms they are told when it is there."""
        news: Sequence[NewEvent] = ()
        if not self._is_replay:
            news = await changes_of_core(self._connection, self._project_id, self._drained)
            if isinstance(self._project, Project):
                news = await self._touched.enqueue(self._connection, self._project, news)
        await transactions.note_changes(self._connection, self._project_id, self._sales)
        await stream_events.publish(self._connection, news)  # last: it takes a lock of all

    def _map(self, row: RawRow) -> Batch:
        if row.body is None or row.crm is None or row.arrived_at is None:
            raise SkipRowError("The raw row is gone: retention removed it before it was applied.")
        if isinstance(self._project, ConfigError):
            raise self._project
        context = self._project.context
        if row.source == "webhook":
            connector = self._connector(row.crm)
            return connector.map_webhook(context, row.event_name, row.body, row.arrived_at)
        if row.stream is None or row.crm_id is None:
            raise SkipRowError("The raw row names no record.")
        if row.stream.endswith(raw.TOMBSTONE):
            stream = row.stream.removesuffix(raw.TOMBSTONE)
            return self._connector(row.crm).map_deletion(context, stream, row.crm_id)
        return self._connector(row.crm).map_record(context, row.stream, row.crm_id, row.body)

    def _learn(self, batch: Batch) -> None:
        """Places tell how to read the rows after them."""
        if batch.places and isinstance(self._project, Project):
            context = self._project.context
            places = {**context.places, **{place.place_id: place for place in batch.places}}
            self._project = replace(self._project, context=replace(context, places=places))

    def _connector(self, crm: str) -> Connector:
        """Of the CRM that the row came from: a project may have moved to another one since."""
        assert isinstance(self._project, Project)
        if crm == self._project.row.crm:
            return self._project.connector
        return projects.connector_of(crm, self._lookup)

    async def _write(self, mapped: Sequence[tuple[RawRow, Mapped]], result: DrainResult, letters: list[Letter]) -> None:
        """Write all in one savepoint; if the content of one row does not fit, halve until it stands alone."""
        if not mapped:
            return
        try:
            async with self._connection.transaction():
                events, rereads = await self._write_at_once([record for _, record in mapped])
        except Exception as error:
            if not is_of_a_record(error):
                raise
            if len(mapped) == 1:
                letters.append(_letter(mapped[0][0], "skip_row", f"The record does not fit: {describe(error)}"))
                return
            middle = len(mapped) // 2
            await self._write(mapped[:middle], result, letters)
            await self._write(mapped[middle:], result, letters)
            return
        result.events += events
        result.rereads += rereads

    async def _write_at_once(self, records: Sequence[Mapped]) -> tuple[int, int]:
        connection, project_id = self._connection, self._project_id
        assert isinstance(self._project, Project)
        known = await self._known(records)
        changes = fold(project_id, self._project.row.currency, known, records)
        events = await write_changes(connection, project_id, changes)
        if self._is_replay:  # it tells nobody, and is too long to be remembered
            return events, 0
        self._drained.add(changes)
        for record in records:
            self._touched.add(record.batch)
        rereads = await without_echoes(connection, project_id, records, changes.rereads, known.orders, self._touched)
        await requests.enqueue_rereads(connection, project_id, rereads)
        return events, len(rereads)

    async def _known(self, records: Sequence[Mapped]) -> Known:
        connection, project_id = self._connection, self._project_id
        orders: set[str] = set()
        customers: set[str] = set()
        guesses: set[str] = set()
        sales: set[str] = set()
        for record in records:
            batch = record.batch
            for group in (batch.orders, batch.order_items, batch.order_payments, batch.order_marketing):
                for part in group:
                    orders.add(part.order_id)
            for reread in batch.rereads:
                orders.add(reread.crm_id)
            for customer in batch.customers:
                customers.add(customer.customer_id)
            for event in batch.status_events:
                if event.is_approximate:
                    guesses.add(event.order_id)
            for sale in batch.transactions:
                sales.add(sale.external_id)
            for reversal in batch.reversals:
                sales.add(reversal.external_id)
        if self._sales is not None:
            self._sales |= sales
        told = not self._is_replay
        states = await core.order_states(connection, project_id, orders, told=told) if orders else {}
        if told:
            await self._drained.note(connection, project_id, orders, states, customers)
        return Known(
            orders=states,
            customers=await core.customer_times(connection, project_id, customers) if customers else {},
            events=await core.events_of(connection, project_id, guesses) if guesses else {},
            currencies=await core.source_currencies(connection, project_id) if orders else {},
            transactions=await transactions.times(connection, project_id, sales) if sales else {},
        )


async def write_changes(connection: Connection, project_id: str, changes: Changes) -> int:
    """Write each table once. Returns how many status events were new."""
    for kind in ("status_groups", "statuses", "sources", "customers", "customers_partial", "orders", "orders_partial"):
        await core.upsert(connection, project_id, kind, list(getattr(changes, kind).values()))
    events = await core.insert_events(connection, project_id, list(changes.events.values()))
    await core.replace_items(
        connection,
        project_id,
        {order_id: len(lines.items) for order_id, lines in changes.items.items()},
        changes.item_rows(),
    )
    await core.replace_payments(connection, project_id, list(changes.payments), changes.payment_rows())
    await core.upsert(connection, project_id, "order_marketing", list(changes.marketing.values()))
    for kind in ("products", "offers", "stocks", "places", "transactions"):
        await core.upsert(connection, project_id, kind, list(getattr(changes, kind).values()))
    await transactions.reverse(connection, project_id, list(changes.reversals.values()))
    return events


def _letter(
    row: RawRow, word: ErrorWord, reason: str, *, stream: str | None = None, crm_id: str | None = None
) -> Letter:
    return Letter(
        source=row.source,
        error_word=word,
        reason=reason.replace("\x00", ""),
        raw_id=row.raw_id,
        stream=stream or row.stream,
        crm_id=crm_id or row.crm_id,
        payload=row.body,
    )
