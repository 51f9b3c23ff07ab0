"""Sends what waits of one project: claims lanes, pushes them side by side, writes down what became of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import structlog

from connectors.errors import ConfigError, ConnectorError, PermanentError, RetryError
from connectors.protocol import PushResult
from database.connection import Connection, Pool, is_lost
from database.repositories import outbox
from database.repositories.outbox import ORDERLESS_SECONDS, Lane
from sync.tracebacks import frames
from sync.two_way import outbound_reading
from sync.two_way.outbound_breaker import Breaker
from sync.two_way.outbound_change import Outgoing
from sync.two_way.outbound_context import Context, Target
from sync.two_way.outbound_prepare import Prepared, prepare
from sync.two_way.outbound_settle import BACKOFF_SECONDS, Fate, Outcome, fail, settle

DEADLOCK_TRIES = 5
GRACE_SECONDS = 10.0
"""For what is being sent when the process is told to stop."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Sent:
    """Rows of the outbox, by what became of them."""

    sent: int = 0
    skipped: int = 0
    failed: int = 0
    later: int = 0
    """To be tried again."""


@dataclass
class ProjectSender:
    """One project's life as long as there is something to send; several may work on one project side by side."""

    pool: Pool
    context: Context
    breaker: Breaker
    instance: str
    stop: asyncio.Event
    done: Sent
    """Of all projects together."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    has_claimed: bool = False
    """Whether there was anything that could be sent."""
    is_refused: bool = False
    """The project's settings are wrong: they are to be read anew."""
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _ended: list[tuple[Sequence[Outcome], asyncio.Future[list[Fate]]]] = field(default_factory=list)
    """Pushes that are to be written down."""
    _settler: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Send until nothing is due, the CRM is away, or `stop` is set. Raises psycopg.Error."""
        try:
            while not self.stop.is_set() and not self.breaker.is_away:
                self.wake.clear()
                free = self.context.slots - len(self._running)
                batches = await self._claim(free) if free > 0 else []
                for batch in batches:
                    self._running.add(asyncio.create_task(self._send(batch)))
                if not self._running:
                    break
                if not batches or len(self._running) >= self.context.slots:
                    await self._wait()
                self._reap()
            if self._running:
                await asyncio.wait(self._running, timeout=GRACE_SECONDS if self.stop.is_set() else None)
                self._reap()
        except Exception as error:
            if self._running and not is_lost(error):
                await asyncio.wait(self._running)  # each of them writes down what became of it
            raise
        finally:
            await self._cancel()

    async def _wait(self) -> None:
        """Until something is finished, or there may be more to send."""
        extra = [asyncio.create_task(self.wake.wait()), asyncio.create_task(self.stop.wait())]
        try:
            await asyncio.wait([*self._running, *extra], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in extra:
                task.cancel()

    def _reap(self) -> None:
        for task in [task for task in self._running if task.done()]:
            self._running.discard(task)
            task.result()

    async def _cancel(self) -> None:
        tasks = [*self._running, *([self._settler] if self._settler is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _claim(self, free: int) -> list[list[Outgoing]]:
        """Claim what fits into the free slots, and look at it: what is to be sent, one batch for each push."""
        failures = 0
        while not self.stop.is_set():
            try:
                async with self.pool.connection() as connection, connection.transaction():
                    prepared = await self._claim_within(connection, free)
            except psycopg.errors.DeadlockDetected:
                failures += 1
                if failures == DEADLOCK_TRIES:
                    raise
                continue
            if prepared is None:
                break
            self.done.skipped += prepared.skipped
            self.done.failed += sum(len(rows) for _, rows, _ in prepared.broken)
            if prepared.outgoing:
                return self._batches(prepared.outgoing)
            # Nothing of it had to be sent: there may be more that has.
        return []

    async def _claim_within(self, connection: Connection, free: int) -> Prepared | None:
        """None: nothing is due."""
        most = free * max(self.context.sizes.values())
        chosen = self._choose(await outbox.due_lanes(connection, self.context.project_id, most), free)
        if not chosen:
            return None
        self.has_claimed = True
        rows = await outbox.claim(connection, self.context.project_id, chosen, self.instance)
        prepared = await prepare(connection, self.context, rows)
        await self._settle_broken(connection, prepared)
        return prepared

    def _choose(self, lanes: Sequence[Lane], free: int) -> list[str]:
        """Lanes in their order, as many as the free slots can take."""
        counts: dict[str, int] = {}
        slots = 0
        chosen = []
        for lane in lanes:
            count = counts.get(lane.kind, 0)
            if count % self.context.sizes[lane.kind] == 0:
                if slots == free:
                    continue  # a batch that is begun may take lanes of its kind still
                slots += 1
            counts[lane.kind] = count + 1
            chosen.append(lane.lane)
        return chosen

    def _batches(self, outgoing: Sequence[Outgoing]) -> list[list[Outgoing]]:
        """Payments go with their order's batch."""
        lanes: dict[str, list[Outgoing]] = {}
        for out in outgoing:
            lanes.setdefault(out.lane, []).append(out)
        kinds: dict[str, list[list[Outgoing]]] = {}
        for lane, found in lanes.items():
            kinds.setdefault(lane.partition(":")[0], []).append(found)
        batches = []
        for kind, groups in kinds.items():
            size = self.context.sizes[kind]
            batches += [
                [out for group in groups[start : start + size] for out in group]
                for start in range(0, len(groups), size)
            ]
        return batches

    async def _settle_broken(self, connection: Connection, prepared: Prepared) -> None:
        for entity, rows, why in prepared.broken:
            ids = [row.outbox_id for row in rows]
            await fail(connection, self.context.project_id, entity, rows[0].vms_entity_id, ids, PermanentError(why))

    async def _send(self, batch: Sequence[Outgoing]) -> None:
        """Push one batch: the objects themselves, then the payments of the orders among them."""
        crm_ids: dict[str, str] = {}
        left = list(batch)
        try:
            left = batch = await self._looked_at_again(batch)
            payments = [out for out in batch if out.entity == "payment"]
            others = [out for out in batch if out.entity != "payment"]
            if others:
                crm_ids = await self._push(others)
                left = payments
            ready: list[Outgoing] = []
            orderless: list[Outgoing] = []
            for out in payments:
                crm_id = crm_ids.get(out.lane) or out.change.data["order"]["crm_id"]
                has_failed = others and out.lane not in crm_ids and any(other.lane == out.lane for other in others)
                (ready if crm_id is not None and not has_failed else orderless).append(
                    out if crm_id is None else out.of_order(crm_id)
                )
            if orderless:
                await self._postpone(orderless)
                left = ready
            size = self.context.sizes["payment"]
            for start in range(0, len(ready), size):
                await self._push(ready[start : start + size])
                left = ready[start + size :]
        except Exception as error:
            if is_lost(error):
                raise  # who takes this over looks first at what has been sent
            _log.error("outbound_broken", project_id=self.context.project_id, exc_info=error)
            await self._put_off(left, error)  # one object's trouble must not stop the others

    async def _looked_at_again(self, batch: Sequence[Outgoing]) -> list[Outgoing]:
        """The batch, once those of it that may have been changed at the CRM were read there and compared anew."""
        behind = [out for out in batch if outbound_reading.is_to_be_read(self.context, out)]
        was_read = await outbound_reading.read(self.pool, self.context, behind) if behind else []
        if not was_read:
            return list(batch)
        rows = [row for out in was_read for row in out.rows]
        read_again = {id(out) for out in was_read}
        async with self.pool.connection() as connection, connection.transaction():
            prepared = await prepare(connection, self.context, rows)
            await self._settle_broken(connection, prepared)
        self.done.skipped += prepared.skipped
        self.done.failed += sum(len(found) for _, found, _ in prepared.broken)
        return [*(out for out in batch if id(out) not in read_again), *prepared.outgoing]

    async def _push(self, outgoing: Sequence[Outgoing]) -> dict[str, str]:
        """Push objects of one kind, and write down what became of them. Lane -> id at the CRM of those that it took."""
        target = self.context.target
        assert target is not None  # nothing is to be sent without one
        began_at = datetime.now(UTC)
        results = await self._ask(target, outgoing)
        self.is_refused |= any(isinstance(result, ConfigError) for result in results)
        failed_at = time.monotonic()
        is_away = False
        for result in results:
            if isinstance(result, RetryError) and result.status != 429:
                is_away = await self.breaker.finds_away(self.pool, target, result, failed_at)
                break
        outcomes = [Outcome(out, result, began_at, is_away) for out, result in zip(outgoing, results, strict=True)]
        fates = await self._settled(outcomes)
        for outcome, fate in zip(outcomes, fates, strict=True):
            rows = len(outcome.out.rows)
            match fate:
                case "sent":
                    self.done.sent += rows
                case "skipped":
                    self.done.skipped += rows
                case "failed":
                    self.done.failed += rows
                case "later":
                    self.done.later += rows
        return {
            outcome.out.lane: outcome.result.crm_id
            for outcome, fate in zip(outcomes, fates, strict=True)
            if fate == "sent" and isinstance(outcome.result, PushResult) and outcome.result.crm_id is not None
        }

    async def _settled(self, outcomes: Sequence[Outcome]) -> list[Fate]:
        """What became of them, once that is committed: pushes that end while others are written down share the next
        transaction."""
        future: asyncio.Future[list[Fate]] = asyncio.get_running_loop().create_future()
        self._ended.append((outcomes, future))
        if self._settler is None or self._settler.done():
            self._settler = asyncio.create_task(self._settle_all())
        return await future

    async def _settle_all(self) -> None:
        while self._ended:
            together, self._ended = self._ended, []
            try:
                fates = iter(await self._settle([outcome for outcomes, _ in together for outcome in outcomes]))
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                if len(together) > 1 and not is_lost(error):
                    for outcomes, future in together:
                        await self._settle_one(outcomes, future)
                    continue
                for _, future in together:
                    if not future.done():
                        future.set_exception(error)
                continue
            for outcomes, future in together:
                found = [next(fates) for _ in outcomes]
                if not future.done():
                    future.set_result(found)

    async def _settle_one(self, outcomes: Sequence[Outcome], future: asyncio.Future[list[Fate]]) -> None:
        """Alone, so that what cannot be written down concerns nobody else."""
        try:
            found = await self._settle(outcomes)
        except Exception as error:  # noqa: BLE001 - handed to who waits
            if not future.done():
                future.set_exception(error)
            return
        if not future.done():
            future.set_result(found)

    async def _settle(self, outcomes: Sequence[Outcome]) -> list[Fate]:
        for attempt in range(DEADLOCK_TRIES):
            try:
                async with self.pool.connection() as connection, connection.transaction():
                    return await settle(connection, self.context, outcomes)
            except psycopg.errors.DeadlockDetected:
                if attempt == DEADLOCK_TRIES - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _ask(self, target: Target, outgoing: Sequence[Outgoing]) -> Sequence[PushResult | ConnectorError]:
        try:
            results = await target.connector.push(target.http, target.account, [out.change for out in outgoing])
        except ConnectorError as error:
            return [error] * len(outgoing)
        except psycopg.Error:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of the connector concerns the object that it stumbled over
            if len(outgoing) > 1:
                return [result for out in outgoing for result in await self._ask(target, [out])]
            project_id = self.context.project_id
            _log.error("push_broken", project_id=project_id, object=outgoing[0].subject, frames=frames(error))
            return [PermanentError(f"Unexpected error: {type(error).__name__}")]
        return results

    async def _postpone(self, outgoing: Sequence[Outgoing]) -> None:
        """Payments of an order that did not get to the CRM wait for it."""
        ids = [number for out in outgoing for number in out.ids]
        async with self.pool.connection() as connection:
            await outbox.give_back(connection, self.context.project_id, ids, seconds=ORDERLESS_SECONDS)
        self.done.later += len(ids)

    async def _put_off(self, outgoing: Sequence[Outgoing], error: Exception) -> None:
        """Nobody knows what became of these: they are looked up and tried again, as often as others are."""
        reason = PermanentError(f"Unexpected error: {type(error).__name__}")
        async with self.pool.connection() as connection, connection.transaction():
            for out in outgoing:
                if out.attempts > self.context.retries:
                    await fail(connection, self.context.project_id, out.entity, out.object.vms_id, out.ids, reason)
                    self.done.failed += len(out.rows)
                    continue
                await outbox.give_back(
                    connection, self.context.project_id, out.ids, seconds=BACKOFF_SECONDS[0], counts=True,
                    may_have_been_sent=True, message=reason.message,
                )  # fmt: skip
                self.done.later += len(out.rows)
