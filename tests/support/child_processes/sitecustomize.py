"""Python runs this at the start of every child process of the tests, whatever program it is.

A child is measured from the moment it imports the product or starts a thread, which nothing can measure later on. Most
children import Dagster first, and dbt never imports the product: traced, both take nearly three times as long and have
nothing to say about the product. A child that does not find this file is measured from its first line.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

_start_thread = threading.Thread.start


class Waiting:
    """Coverage that has stopped until `go_on`; as a finder of modules it finds nothing, and sees what is imported."""

    def __init__(self, measuring: Any) -> None:
        self._measuring = measuring
        self._sources = frozenset(Path(source).name for source in measuring.config.source)  # folders, by now
        measuring.stop()
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def go_on(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # type: ignore[arg-type]
            threading.Thread.start = _start_thread  # type: ignore[method-assign]
            self._measuring.start()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in self._sources:
            self.go_on()


def wait_for_the_product() -> None:
    """Have the coverage wait that coverage's own .pth file has started just before."""
    coverage = sys.modules.get("coverage")
    measuring = coverage.Coverage.current() if coverage else None
    if measuring is None:
        return
    waiting = Waiting(measuring)
    if any(Path(word).name == "dbt" for word in sys.orig_argv[:2]):
        return  # its threads run nothing of ours

    def start(thread: threading.Thread) -> None:
        waiting.go_on()
        _start_thread(thread)

    threading.Thread.start = start  # type: ignore[method-assign]


wait_for_the_product()
