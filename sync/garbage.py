"""Fewer runs of Python's cyclic collector while records go through in bulk: they hold no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = (500_000, 10, 10)
_users = 0
_usual = (0, 0, 0)


@contextmanager
def rare_collections() -> Iterator[None]:
    """By default each 700 new containers make a run, and each record is dozens. Memory is freed by reference counts all
    the same. May be nested, and used by several tasks of an event loop at once."""
    global _users, _usual
    if _users == 0:
        _usual = gc.get_threshold()
        gc.set_threshold(*_THRESHOLDS)
    _users += 1
    try:
        yield
    finally:
        _users -= 1
        if _users == 0:
            gc.set_threshold(*_usual)
