"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    seconds: float = 20,
    what: str | Callable[[], str] = "the condition",
    every: float = 0.02,
) -> T:
    """What the condition gave once it was true. Raises AssertionError naming `what` when the time is over."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what if isinstance(what, str) else what()}: not within {seconds:g} s")
        pause.wait(every)
    return value
