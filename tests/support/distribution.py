"""How tests are shared out with `pytest -n N`: file by file, the longest first, whole stacks one after the other.

Each worker has a PostgreSQL of its own, as every pytest process has.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

STACKS = "stacks"
_STACKS = ("tests/integration/orchestration/test_stack.py", "tests/e2e/")
"""They start a dozen processes each, and wait for most of their time: one of them at a time."""
_LONG = (
    "tests/integration/dbt/",
    "tests/integration/commands/",
    "tests/integration/orchestration/",
    "tests/integration/ingest/",
    "tests/integration/sync/",
    "tests/unit/orchestration/",
    "tests/unit/connectors/",
)
"""From the longest on: what comes last should be short, for the workers to end together."""


def unit_of(node_id: str) -> str:
    """The tests with the same word go to one worker."""
    return STACKS if node_id.startswith(_STACKS) else node_id.partition("::")[0]


def rank(node_id: str) -> int:
    """The place of a test's folder, the smallest first."""
    places = (place for place, start in enumerate(_LONG, 1) if node_id.startswith(start))
    return 0 if unit_of(node_id) == STACKS else next(places, len(_LONG) + 1)


class Distribution(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A worker that dies ends the run, with the name of its test; a new worker would get the same test again."""
    if getattr(config.option, "maxworkerrestart", None) is None:
        config.option.maxworkerrestart = "0"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Distribution:
    config.option.loadscopereorder = False  # by the number of tests, that is
    return Distribution(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))
