"""benchmarks.live_orders and .pages at a small size: they run, and folding changes nothing of what is shown."""

from __future__ import annotations

from benchmarks import live_orders, pages


def test_each_filter_shows_orders_before_and_after_folding() -> None:
    figures = live_orders.run(total=4_000, waiting=40, turns=2)
    assert all(0 < row["bytes"] <= pages.TARGET_BYTES and row["p50"] > 0 for row in figures["pages"].values())
    assert figures["pages"]["page: all orders"]["bytes"] > 20_000  # fifty rows
    assert figures["folded"] == 40
    for name, row in figures["rows"].items():
        found = {phase: row[phase]["orders"] for phase in ("built", "waiting", "folded")}
        assert found["waiting"] == found["folded"], name
        assert (found["built"] > 0) == (name != "closed group, open: none"), name
        assert all(0 < row[phase]["p50"] <= row[phase]["p95"] for phase in found), name
