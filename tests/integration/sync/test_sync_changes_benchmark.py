"""benchmarks.sync_changes at a small size: it runs, and each change is in core."""

from __future__ import annotations

from benchmarks import sync_changes


def test_every_change_is_in_core_and_the_seconds_are_told() -> None:
    result = sync_changes.run(orders=120, changes=60)
    assert result["complete"]
    assert (result["orders"], result["changes"]) == (120, 60)
    assert 0 < result["seconds"] < 30
