"""Keeps orders_current fast between builds: what waits is folded into its table."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import structlog

from database.connection import Pool
from database.repositories import waiting_orders

_log = structlog.get_logger(__name__)


async def fold_waiting(pool: Pool, *, stop: Callable[[], bool] = lambda: False) -> int:
    """Fold until nothing waits, `stop` says so, or a build is in the way; how many orders were folded.

    Whatever is not folded is computed when it is read, and the next build takes it either way. Raises psycopg.Error if
    the database is away.
    """
    total = 0
    async with pool.connection() as connection:
        while not stop():
            try:
                folded = await waiting_orders.fold(connection)
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedColumn):
                # A build with new code is under way: its tables come one after the other.
                _log.info("fold_postponed", reason="the marts are being built with other code")
                break
            if not folded:
                break
            total += folded
    return total
