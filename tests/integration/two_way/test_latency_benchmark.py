"""benchmarks.latency at a small size: it runs, nothing is lost either way, and it prints the figures of both."""

from __future__ import annotations

import math
import sys

import pytest

from benchmarks import latency


def test_the_benchmark_loses_nothing_either_way_and_prints_the_figures_of_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []

    def run(rate: float, seconds: float) -> dict[str, object]:
        made.append(measure(rate, seconds))
        return made[0]

    measure = latency.run
    monkeypatch.setattr(latency, "run", run)
    monkeypatch.setattr(sys, "argv", ["latency", "--rate", "5", "--seconds", "3"])
    monkeypatch.setenv("COLUMNS", "120")
    latency.main()  # raises SystemExit if a change is missing
    (figures,) = made
    table = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines()]
    rows = {(row[1], row[2]): row[3:8] for row in table if len(row) > 7}
    for way in ("vms to CRM", "CRM to vms"):
        of_all = figures[way]["all"]  # type: ignore[index]
        assert (of_all["changes"], of_all["missing"]) == (15, 0)
        assert 0 <= of_all["p50"] <= of_all["p95"] <= of_all["max"] < math.inf
        assert rows[way, "all"] == ["15", "0", *(f"{of_all[name]:.3f}" for name in ("p50", "p95", "max"))]
