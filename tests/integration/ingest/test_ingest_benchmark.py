"""benchmarks.ingest at a small size: it runs, and every webhook that was answered is in raw."""

from __future__ import annotations

from benchmarks import ingest


def test_every_webhook_that_the_benchmark_has_answered_is_in_raw() -> None:
    figures = ingest.run(seconds=0.6, connections=8, turns=1)
    assert [row["route"] for row in figures["routes"]] == [
        "empty route", "durable, group commit", "durable, one commit each", "bare ASGI endpoint",
    ]  # fmt: skip
    assert all(row["requests_per_second"] > 0 and row["p99_ms"] >= row["p50_ms"] > 0 for row in figures["routes"])
    assert figures["missing"] == 0
    # Of the warm-up too: what the two durable routes have answered, and nothing else.
    assert figures["answered"] == figures["in_raw"] == figures["distinct_in_raw"] > 100
    assert figures["ratio"] == figures["routes"][1]["ratio_to_empty"] > 0
