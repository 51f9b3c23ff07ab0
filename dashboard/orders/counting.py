"""Counts of a filter's orders, shared for a moment: of a million orders they cost more than the page itself, and each
change makes everybody who looks ask again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from fastapi import Request

from database.repositories.order_counts import Counts
from database.repositories.orders import Filter

SECONDS = 2.0
_MOST = 200

Key = tuple[object, ...]


class Counting:
    """Whoever asks for the same within `seconds`, or while the answer is under way, gets the same."""

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._known: dict[Key, tuple[float, asyncio.Future[Counts]]] = {}

    async def counts(self, wanted: Filter, count: Callable[[], Awaitable[Counts]]) -> Counts:
        """`count` is called if nobody else has asked just now. Raises what it raises."""
        key = _key(wanted)
        now = self._clock()
        known = self._known.get(key)
        if known is None or known[0] <= now or _failed(known[1]):
            self._forget(now)
            known = (now + self._seconds, asyncio.ensure_future(count()))
            self._known[key] = known
        return await asyncio.shield(known[1])  # one who goes away does not take the answer from the others

    def _forget(self, now: float) -> None:
        if len(self._known) >= _MOST:
            self._known = {key: kept for key, kept in self._known.items() if kept[0] > now}


def counting_of(request: Request) -> Counting:
    """That of the application."""
    state = request.app.state
    if not hasattr(state, "order_counts"):
        state.order_counts = Counting()
    made: Counting = state.order_counts
    return made


def _failed(answer: asyncio.Future[Counts]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)


def _key(wanted: Filter) -> Key:
    projects = None if wanted.projects is None else tuple(sorted(wanted.projects))
    return (
        projects, wanted.group, wanted.status, wanted.states, wanted.is_urgent, wanted.is_closed, wanted.created_from,
        wanted.created_to, wanted.changed_from, wanted.changed_to, wanted.order_id, wanted.order_prefix, wanted.hiding,
    )  # fmt: skip
