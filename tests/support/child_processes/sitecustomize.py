"""Python runs this at the start of every child process of the tests, whatever program it is.

A child is measured from the moment it imports the product. What never does so, as dbt, then runs at full speed: traced,
it takes nearly three times as long and has nothing to say about the product. A child that does not find this file is
measured from its first line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


class FirstImport:
    """A finder that finds nothing; it has coverage go on before the first module of the product is looked for."""

    def __init__(self, measuring: Any, sources: frozenset[str]) -> None:
        self._measuring = measuring
        self._sources = sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in self._sources and self in sys.meta_path:
            sys.meta_path.remove(self)  # type: ignore[arg-type]
            self._measuring.start()


def wait_for_the_product() -> None:
    """Stop the coverage that coverage's own .pth file has started just before, until the product is imported."""
    coverage = sys.modules.get("coverage")
    measuring = coverage.Coverage.current() if coverage else None
    if measuring is not None:
        measuring.stop()
        sources = frozenset(Path(source).name for source in measuring.config.source)  # folders, by now
        sys.meta_path.insert(0, FirstImport(measuring, sources))  # type: ignore[arg-type]


wait_for_the_product()
