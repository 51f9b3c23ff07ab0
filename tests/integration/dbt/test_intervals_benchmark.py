"""benchmarks.intervals at a small size: it runs, and its working times are those of the join of every window."""

from __future__ import annotations

from benchmarks import intervals


def test_the_benchmark_finds_the_same_working_times_by_joining_every_window() -> None:
    figures = intervals.run(events=5_000, turns=1, sample=50, growth=1)
    assert (figures["events"], figures["orders"], figures["differences"]) == (5_000, 500, 0)
    assert len(figures["ways"]) == 4
    assert all(way["seconds"] > 0 for way in figures["ways"])
    assert figures["parts"].keys() == {"fct_order_status_intervals", "fct_order_stages"}
    assert figures["ratio"] > 0
    assert figures["incremental_ratio"] > 0
    assert figures["nothing_new_seconds"] > 0
