"""Whether a CRM answers at all: while it does not, nothing is tried, and nothing that was tried counts."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import structlog

from connectors.errors import RetryError
from database.connection import Pool
from database.repositories import alerts, logs
from sync.two_way.outbound_context import Target

AWAY_ALERT = "crm_away"
"""An open one says to all processes that nobody should send before having asked."""
FRESH_SECONDS = 3.0
"""So long what was found is taken for true: one question for all that fail at once."""
PROBE_SECONDS = (1.0, 30.0)
"""First and longest wait between two questions of whether it is back."""

_log = structlog.get_logger(__name__)


@dataclass
class Breaker:
    """Of one project, in one process."""

    project_id: str
    is_away: bool = False
    _asked_at: float = -FRESH_SECONDS
    _ask_again_at: float = 0.0
    _pause: float = PROBE_SECONDS[0]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def lets_through(self) -> bool:
        """False: it is away, and was asked just now."""
        return not self.is_away or time.monotonic() >= self._ask_again_at

    async def finds_away(self, pool: Pool, target: Target, error: RetryError, failed_at: float) -> bool:
        """Ask the CRM whether it is there, unless somebody has just done so. `failed_at`: monotonic; that it was there
        before says nothing where it did not answer then."""
        async with self._turn:
            is_fresh = time.monotonic() - self._asked_at < FRESH_SECONDS
            if self._asked_at >= failed_at or (is_fresh and (self.is_away or error.status is not None)):
                return self.is_away
            return await self._ask(pool, target)

    async def is_back(self, pool: Pool, target: Target) -> bool:
        """Ask it once more; whoever gets no answer waits twice as long."""
        async with self._turn:
            return not await self._ask(pool, target)

    async def _ask(self, pool: Pool, target: Target) -> bool:
        health = await target.connector.check_health(target.http, target.account)
        self._asked_at = time.monotonic()
        if health.ok:
            self.is_away, self._pause = False, PROBE_SECONDS[0]
            async with pool.connection() as connection, connection.transaction():
                if await alerts.resolve(connection, self.project_id, AWAY_ALERT, self.project_id):
                    await logs.write(connection, self.project_id, "info", "The CRM is back: what waits is being sent.")
                    _log.info("crm_back", project_id=self.project_id)
            return False
        if self.is_away:
            self._pause = min(self._pause * 2, PROBE_SECONDS[1])
        self.is_away = True
        self._ask_again_at = time.monotonic() + self._pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        message = f"The CRM is away, changes of vms wait until it is back: {health.message}"
        async with pool.connection() as connection, connection.transaction():
            if await alerts.raise_once(connection, self.project_id, AWAY_ALERT, [(self.project_id, message)]):
                await logs.write(connection, self.project_id, "error", message, error_word="retry")
                _log.error("crm_away", project_id=self.project_id, reason=health.message)
        return True
