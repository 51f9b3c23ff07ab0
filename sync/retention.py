"""What is forgotten in time. What failed, and dead letters, are never forgotten by themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from database.connection import Connection, Pool
from database.environment import Environment
from database.repositories import ledger, outbox, stream_events

BATCH_ROWS = 5_000
"""Forgotten in one transaction."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what is remembered."""

    event_hours: float = 48
    """Applied changes, for those who listen to the live stream."""
    outbox_days: float = 14
    """Changes of vms that were sent or skipped."""
    ledger_days: float = 30
    """What the two-way sync wrote."""

    @classmethod
    def of(cls, environment: Environment) -> Keep:
        return cls(outbox_days=environment.keep_outbox_days, ledger_days=environment.keep_ledger_days)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Numbers of rows."""

    events: int
    outbox: int
    ledger: int


async def forget_two_way(pool: Pool, keep: Keep, *, stop: Callable[[], bool] = lambda: False) -> Forgotten:
    """Forget what is older than `keep` says, portion by portion, until nothing is left to forget or `stop` says so.
    Several may do so side by side. Raises psycopg.Error."""
    async with pool.connection() as connection:
        return Forgotten(
            events=await stream_events.purge(connection, keep.event_hours),
            outbox=await _in_batches(connection, outbox.purge, keep.outbox_days, stop),
            ledger=await _in_batches(connection, ledger.purge, keep.ledger_days, stop),
        )


async def _in_batches(
    connection: Connection,
    purge: Callable[[Connection, float, int], Awaitable[int]],
    days: float,
    stop: Callable[[], bool],
) -> int:
    total = 0
    while not stop():
        count = await purge(connection, days, BATCH_ROWS)
        total += count
        if count < BATCH_ROWS:
            break
    return total
