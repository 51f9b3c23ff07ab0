"""The rights of those who listen, looked at again whenever users or sessions change."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import structlog

from dashboard.identity import Identity

log = structlog.get_logger()


@dataclass(slots=True)
class Watched:
    """A session that somebody listens with."""

    identity: Identity
    has_ended: bool = False
    listeners: int = 0

    @property
    def seconds_left(self) -> float:
        """Until its token expires; infinite if it does not."""
        if self.identity.expires_at is None:
            return math.inf
        return (self.identity.expires_at - datetime.now(UTC)).total_seconds()


class Rights:
    """`load` gives the sessions that still count. While it cannot, the last known rights stay, until tokens expire."""

    def __init__(self, load: Callable[[list[UUID]], Awaitable[dict[UUID, Identity]]]) -> None:
        self._load = load
        self._watched: dict[UUID, Watched] = {}
        self._is_away = False

    @contextlib.contextmanager
    def watch(self, identity: Identity) -> Iterator[Watched]:
        """The rights of a listener, kept up to date inside the block."""
        watched = self._watched.setdefault(identity.session_id, Watched(identity))
        watched.identity = identity
        watched.listeners += 1
        try:
            yield watched
        finally:
            watched.listeners -= 1
            if not watched.listeners and self._watched.get(identity.session_id) is watched:
                del self._watched[identity.session_id]

    async def refresh(self) -> None:
        """Look at all of them."""
        ids = list(self._watched)
        if not ids:
            return
        try:
            found = await self._load(ids)
        except (psycopg.Error, TimeoutError, OSError) as error:
            if not self._is_away:
                log.warning("rights_not_read", kind=type(error).__name__)
            self._is_away = True
            return
        self._is_away = False
        for session_id in ids:
            watched = self._watched.get(session_id)
            if watched is None:
                continue
            if session_id in found:
                watched.identity = found[session_id]
            else:
                watched.has_ended = True
