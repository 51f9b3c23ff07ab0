"""Log lines of refused webhooks: the first of a kind at once, then one line per interval with how many there were."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog

INTERVAL_SECONDS = 10.0
_MOST_KINDS = 1000


class RefusalLog:
    """Keeps a flood of forged or broken webhooks from flooding the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, log: Any = None) -> None:
        self._clock = clock
        self._log = log or structlog.get_logger()
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, project: str, code: str, detail: str) -> None:
        """`project` must be a known one, or empty."""
        now = self._clock()
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        logged_at, held_back = self._kinds.get((project, code), (float("-inf"), 0))
        if now - logged_at < INTERVAL_SECONDS:
            self._kinds[project, code] = (logged_at, held_back + 1)
            return
        self._kinds[project, code] = (now, 0)
        self._log.warning("webhook_refused", project=project, code=code, detail=detail, more_since_last=held_back)
