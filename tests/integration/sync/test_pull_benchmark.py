"""benchmarks.pull at a small size and without dlt: it runs, and every order of the simulator is in raw."""

from __future__ import annotations

from benchmarks import pull


def test_the_benchmark_pulls_every_order_of_the_simulator() -> None:
    figures = pull.run(orders=120, turns=1, dlt_python=None, concurrent=2)
    assert (figures["orders"], figures["complete"]) == (120, True)
    assert figures["ours"]["rows_per_second"] > 0
    assert figures["ours"]["peak_mib"] > 0
    assert "ratio" not in figures  # there is no rival
