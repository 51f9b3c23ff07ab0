"""One listener: what it may and wants to hear, from where on, until its rights end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

import psycopg
import structlog

from dashboard.stream.feed import Feed, Portion
from dashboard.stream.rights import Watched

_RETRY_SECONDS = 0.5

log = structlog.get_logger()


class EndedError(Exception):
    """No more events. The message is a sentence for the client."""

    def __init__(self, message: str, *, may_return: bool) -> None:
        super().__init__(message)
        self.may_return = may_return


class Subscription:
    """`wanted` may be changed at any time; None: all that may be seen."""

    def __init__(self, feed: Feed, watched: Watched, wanted: Collection[str] | None, start: Portion) -> None:
        self._feed = feed
        self._watched = watched
        self._pending: Portion | None = start if start.is_reset else None
        self._epoch = feed.epoch
        self.wanted = wanted
        self.cursor = start.cursor

    def move(self, start: Portion) -> None:
        """Go on from elsewhere."""
        self.cursor = start.cursor
        self._pending = start if start.is_reset else None
        self._feed.wake()

    async def next(self, seconds: float) -> Portion | None:
        """Events, or a reset; None if there were none for so long. Raises EndedError."""
        deadline = time.monotonic() + seconds
        while True:
            visible = self._visible()
            if self._epoch != self._feed.epoch:
                self._epoch = self._feed.epoch
                self.move(Portion([], self._feed.head, is_reset=True))
            if self._pending is not None:
                portion, self._pending = self._pending, None
                return portion
            cursor = self.cursor
            try:
                portion = await self._feed.read(cursor, visible)
            except (psycopg.Error, TimeoutError, OSError) as error:
                log.debug("stream_not_read", kind=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)  # the database is away; the feed says so in the log
                portion = Portion([], cursor)
            if self.cursor != cursor or self._visible() != visible:
                continue  # moved, or of other rights, while this was read
            self.cursor = portion.cursor
            if portion.events or portion.is_reset:
                return portion
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if portion.cursor == cursor:
                await self._feed.wait(cursor, min(left, self._watched.seconds_left))

    def _visible(self) -> frozenset[str] | None:
        """The projects to hear of; None: all. Raises EndedError."""
        if self._feed.is_stopping:
            raise EndedError("The server stops; connect again in a moment.", may_return=True)
        if self._watched.has_ended:
            raise EndedError("The session has ended: log in again.", may_return=False)
        if self._watched.seconds_left <= 0:
            raise EndedError("The session has expired: log in again.", may_return=False)
        visible = self._watched.identity.visible(self.wanted)
        if visible is not None and not visible and (self.wanted is None or self.wanted):
            raise EndedError("There is no project left that you may see.", may_return=False)
        return visible
