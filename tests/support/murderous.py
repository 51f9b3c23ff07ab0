"""A CRM's simulator that kills its client with SIGKILL while it serves it."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]
When = Literal["before", "unanswered", "answered"]

MOMENTS: tuple[When, ...] = ("before", "unanswered", "answered")
"""Of the request at which the client dies: it is not done; it is done, and no answer comes; it is answered, which the
client may or may not have written down."""


class Murderous:
    """An ASGI application around the simulator's. `process` is the client."""

    def __init__(self, app: Any, kills: int, requests_between: int, seed: int = 0) -> None:
        """`kills` in all, each so many requests after the one before, on average."""
        self._app = app
        self._random = random.Random(seed)
        self._most_between = 2 * requests_between
        self.left = kills
        self.kills: Counter[When] = Counter()
        self.process: subprocess.Popen[bytes] | None = None
        self._wait = self._random.randint(1, self._most_between)
        self._moments = itertools.cycle(MOMENTS)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        when = self._next_kill() if scope["type"] == "http" else None
        if when == "before":
            self._kill(when)
            await _say_nothing(send)
        elif when == "unanswered":
            await self._app(scope, receive, _unheard)
            self._kill(when)
            await _say_nothing(send)
        else:
            await self._app(scope, receive, send)
            if when is not None:
                self._kill(when)

    def _next_kill(self) -> When | None:
        """Whether the client dies at this request. Requests of one that is dead already, which are on their way still,
        are served and do not count."""
        if not self.left or self.process is None or self.process.poll() is not None:
            return None
        self._wait -= 1
        if self._wait > 0:
            return None
        self._wait = self._random.randint(1, self._most_between)
        self.left -= 1
        return next(self._moments)

    def _kill(self, when: When) -> None:
        assert self.process is not None
        if self.process.poll() is not None:  # two requests side by side
            self.left += 1
            return
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills[when] += 1


async def _unheard(message: dict[str, Any]) -> None:
    """Takes an answer that nobody gets."""


async def _say_nothing(send: Send) -> None:
    """Nobody listens any more; the server wants an answer all the same."""
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})
