"""Has child processes measured only once they can run the product: see child_processes/sitecustomize.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).with_name("child_processes"))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("numprocesses", None):
        # This process only hands out tests. Its workers start their own coverage, once.
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    else:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [FOLDER, os.environ.get("PYTHONPATH")]))
