"""Refused webhooks: log lines, the first of a kind at once, then one per interval with how many there were; counts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

INTERVAL_SECONDS = 10.0
STORE_SECONDS = 2.0
"""How often counts are stored, if there are any."""
_MOST_KINDS = 1000


class RefusalLog:
    """Keeps a flood of forged or broken webhooks from flooding the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, log: Any = None) -> None:
        self._clock = clock
        self._log = log or structlog.get_logger()
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        """By known project and code, since they were taken last."""

    def note(self, project: str, code: str, detail: str) -> None:
        """`project` must be a known one, or empty."""
        if project:
            self.counts[project, code] += 1
        now = self._clock()
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        logged_at, held_back = self._kinds.get((project, code), (float("-inf"), 0))
        if now - logged_at < INTERVAL_SECONDS:
            self._kinds[project, code] = (logged_at, held_back + 1)
            return
        self._kinds[project, code] = (now, 0)
        self._log.warning("webhook_refused", project=project, code=code, detail=detail, more_since_last=held_back)


async def keep_counts(refusals: RefusalLog, store: Callable[[Mapping[tuple[str, str], int]], Awaitable[None]]) -> None:
    """Store what is counted, now and then, until cancelled. While the database is away the counts wait."""
    while True:
        await asyncio.sleep(STORE_SECONDS)
        with contextlib.suppress(Exception):  # other routes tell and log that the database is away
            await store_counts(refusals, store)


async def store_counts(refusals: RefusalLog, store: Callable[[Mapping[tuple[str, str], int]], Awaitable[None]]) -> None:
    """Store what is counted, if anything. What is not stored stays counted."""
    taken = +refusals.counts
    if taken:
        await store(taken)
        refusals.counts -= taken
