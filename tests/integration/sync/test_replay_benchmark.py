"""benchmarks.replay at a small size: it runs, every event is there, and COPY has written what core holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import replay


def test_the_benchmark_replays_every_event_and_copies_the_rows_of_core() -> None:
    figures = replay.run(events=1_000)
    assert (figures["events"], figures["missing"]) == (1_000, 0)
    replays = figures["replays"]
    assert {project: (one["rows"], one["events"], one["failed"]) for project, one in replays.items()} == {
        "smaller": (200, 200, 0),
        "larger": (1_000, 1_000, 0),
    }
    # 200 orders are 200 orders and 1,000 events at least, besides their items, payments and customers.
    assert figures["copy"]["rows"] > 1_200
    assert figures["ratio"] > 0
    assert figures["memory_growth"] > 0
    assert all(0 < one["peak_mib"] <= replay.MEMORY_MIB for one in replays.values())


def test_the_peak_of_a_measured_process_is_not_that_of_its_parent() -> None:
    ballast = bytearray(b"x") * (200 << 20)
    done = subprocess.run(
        [sys.executable, "-c", "from benchmarks.memory import peak_mib; print(peak_mib())"],
        cwd=Path(replay.__file__).parent.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert len(ballast) == 200 << 20
    assert 1 < float(done.stdout) < 100
