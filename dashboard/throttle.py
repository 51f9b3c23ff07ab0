"""Failed logins that no user's row can count: of logins that do not exist, and by address. In memory, bounded."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_KEYS = 10_000


class Throttle:
    """After `most` failures of a key within `seconds`, it is locked for `seconds`."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """key -> failures, and when they are forgotten"""

    def locked_for(self, key: str) -> float:
        """Seconds until this key may try again; 0 if it may."""
        count, until = self._failures.get(key, (0, 0.0))
        left = until - self._clock()
        return left if count >= self._most and left > 0 else 0.0

    def fail(self, key: str) -> None:
        now = self._clock()
        count, until = self._failures.pop(key, (0, 0.0))
        if until <= now:
            count = 0
        count += 1
        if count == 1 or count == self._most:
            until = now + self._seconds
        self._failures[key] = (count, until)
        while len(self._failures) > _MOST_KEYS:
            self._failures.popitem(last=False)

    def forget(self, key: str) -> None:
        self._failures.pop(key, None)
