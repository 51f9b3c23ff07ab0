"""Tests are shared out by files that exist, and child processes are measured where they run the product."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import coverage
import pytest

from tests.support import child_coverage, distribution

ROOT = Path(__file__).parents[3]
IN_A_THREAD = """
import threading
go_on = threading.Event()
def work():
    go_on.wait()
    import sync.logging_setup
thread = threading.Thread(target=work)
thread.start()
import sync
go_on.set()
thread.join()
"""


def test_every_folder_and_file_that_is_named_exists() -> None:
    missing = [path for path in (*distribution._STACKS, *distribution._LONG) if not (ROOT / path).exists()]
    assert missing == []


def test_whole_stacks_go_to_one_worker_and_the_rest_by_file() -> None:
    demo, stack = "tests/e2e/test_demo.py::test_a", "tests/integration/orchestration/test_stack.py::TestB::test_b[a::b]"
    ticks = "tests/integration/orchestration/test_ticks.py::TestC::test_c"
    assert distribution.unit_of(demo) == distribution.unit_of(stack) == distribution.STACKS
    assert distribution.unit_of(ticks) == "tests/integration/orchestration/test_ticks.py"
    unit = "tests/unit/dbt/test_build_results.py::test_d"
    assert sorted([unit, ticks, stack], key=distribution.rank) == [stack, ticks, unit]


def modules_measured(folder: Path, code: str) -> set[str]:
    """Files of `sync` in which a child that runs the code has measured a line."""
    config = folder / "coveragerc"
    config.write_text(f"[run]\nsource = {ROOT / 'sync'}\nparallel = true\ndata_file = {folder / 'data'}\n")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    path = os.pathsep.join([child_coverage.FOLDER, str(ROOT)])
    subprocess.run(
        [sys.executable, "-c", code],
        env={**variables, "PYTHONPATH": path, "COVERAGE_PROCESS_START": str(config)}, check=True, timeout=120,
    )  # fmt: skip
    found = set()
    for file in folder.glob("data.*"):
        data = coverage.CoverageData(str(file))
        data.read()
        found |= {Path(name).name for name in data.measured_files() if data.lines(name)}
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import json", set()),
        ("import json, sync.logging_setup", {"logging_setup.py"}),
        (IN_A_THREAD, {"logging_setup.py"}),
    ],
    ids=["without the product", "with the product", "in a thread that was there before"],
)
def test_a_child_is_measured_once_it_can_run_the_product(tmp_path: Path, code: str, expected: set[str]) -> None:
    found = modules_measured(tmp_path, code)
    assert found >= expected
    assert bool(found) == bool(expected)


def test_simulators_are_no_product_code_wherever_a_child_is_started(tmp_path: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    settings = {"COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"), "COVERAGE_FILE": str(tmp_path / "data")}
    path = os.pathsep.join([child_coverage.FOLDER, str(ROOT)])
    subprocess.run(
        [sys.executable, "-c", "import connectors.keycrm"],
        cwd=tmp_path, env={**variables, **settings, "PYTHONPATH": path}, check=True, timeout=120,
    )  # fmt: skip
    files = set()
    for file in tmp_path.glob("data.*"):
        data = coverage.CoverageData(str(file))
        data.read()
        files |= data.measured_files()
    assert any("connectors/keycrm/" in file for file in files)
    assert [file for file in files if "/simulator" in file] == []


def test_no_two_test_files_have_one_name() -> None:
    """Their folders are no packages: of two with one name a worker can import the first alone."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
