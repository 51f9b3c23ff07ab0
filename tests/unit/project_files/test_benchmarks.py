"""Each benchmark runs at a small size in `make test`, which CI runs, and at full size in `make bench`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WITHIN_ANOTHER = {"pages": "live_orders"}
"""Which run on the other's data, in its run."""
_USAGE = r"python -m benchmarks\.(\w+) .*\[--json\]"
"""Of a benchmark; its parts, processes of their own, take no --json."""
BENCHMARKS = sorted({
    name for path in (ROOT / "benchmarks").glob("*.py") for name in re.findall(_USAGE, path.read_text())
})  # fmt: skip


def recipe(target: str) -> str:
    found = re.search(rf"(?ms)^{target}:.*?(?=\n\n)", (ROOT / "Makefile").read_text())
    assert found is not None, target
    return found[0]


def test_there_are_the_benchmarks_of_the_design() -> None:
    assert set(BENCHMARKS) >= {"ingest", "intervals", "live_orders", "pull", "replay", "latency"}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_make_bench_runs_it_at_full_size(name: str) -> None:
    assert re.search(rf"benchmarks\.{WITHIN_ANOTHER.get(name, name)}( \$\(ARGS\))?$", recipe("bench"), re.MULTILINE)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_test_runs_it_at_a_small_size(name: str) -> None:
    run = "pages" if name in WITHIN_ANOTHER else f"{name}.run"
    tests = [path.read_text() for path in (ROOT / "tests" / "integration").rglob("test_*_benchmark.py")]
    assert [text for text in tests if re.search(rf"from benchmarks import .*\b{name}\b", text) and run in text]


def test_make_properties_and_with_it_make_bench_run_the_property_tests_at_full_size() -> None:
    recipes = recipe("properties")
    assert "CRM_ELT_PROPERTIES=" in recipes
    for name in ("test_properties.py", "test_incremental.py"):
        assert f"tests/integration/dbt/{name}" in recipes
    assert re.search(r"\$\(MAKE\) .*properties$", recipe("bench"), re.MULTILINE)
