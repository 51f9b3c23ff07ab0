"""What takes long to count and changes slowly, shared by all who look at it within some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from fastapi import Request

from database.repositories.analytics import Rows

FRESH_SECONDS, KEPT_SECONDS = 15.0, 300.0
_MOST = 100
_log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class _Known(Generic[T]):
    value: T
    made_at: float


class Shared(Generic[T]):
    """Whoever asks gets what was made at most `kept` seconds ago; older than `fresh`, it is made anew meanwhile.

    Only where there is nothing so young does anybody wait, all for the same.
    """

    def __init__(
        self, fresh: float = FRESH_SECONDS, kept: float = KEPT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fresh, self._kept, self._clock = fresh, kept, clock
        self._known: dict[Hashable, _Known[T]] = {}
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Raises what `make` raises, to those who wait for it."""
        known, now = self._known.get(key), self._clock()
        if known is not None and now < known.made_at + self._kept:
            if now >= known.made_at + self._fresh and key not in self._under_way:
                self._begin(key, make).add_done_callback(_tell_of_failure)
            return known.value
        task = self._under_way.get(key) or self._begin(key, make)
        return await asyncio.shield(task)  # one who goes away does not take the answer from the others

    def _begin(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        begun = self._clock()

        async def work() -> T:
            try:
                value = await make()
            finally:
                del self._under_way[key]
            self._forget(begun)
            self._known[key] = _Known(value, begun)
            return value

        task = asyncio.ensure_future(work())
        self._under_way[key] = task
        return task

    def _forget(self, now: float) -> None:
        if len(self._known) >= _MOST:
            self._known = {key: known for key, known in self._known.items() if now < known.made_at + self._kept}
        if len(self._known) >= _MOST:
            del self._known[min(self._known, key=lambda key: self._known[key].made_at)]


def ageing_of(request: Request) -> Shared[Rows]:
    """That of the application: open orders by age."""
    state = request.app.state
    if not hasattr(state, "ageing"):
        state.ageing = Shared[Rows]()
    made: Shared[Rows] = state.ageing
    return made


def _tell_of_failure(task: asyncio.Task[T]) -> None:
    """Nobody waits for it; the next one who asks tries again."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("ageing_not_counted", kind=type(error).__name__)
