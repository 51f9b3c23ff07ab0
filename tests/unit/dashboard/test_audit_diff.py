"""Two JSON values, as lines of what differs."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.admin.diff import Difference, differences


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (None, None, []),
        ("08:00", "06:00", [("", "08:00", "06:00")]),
        (0.8, 0.9, [("", "0.8", "0.9")]),
        (None, {"role": "viewer"}, [("role", None, "viewer")]),
        ({"a": 1, "b": 2}, None, [("a", "1", None), ("b", "2", None)]),
        ({"a": {"b": [1, 2], "c": 3}}, {"a": {"b": [1], "c": 3}}, [("a.b", "1, 2", "1")]),
        ({"a": None}, {"a": False}, [("a", "null", "false")]),
        ({"a": "1"}, {"a": 1}, []),
        ({"old": 1, "kept": 2}, {"kept": 2, "new": {}}, [("new", None, "{}"), ("old", "1", None)]),
        ([{"day": "mon"}], [], [("", '[{"day": "mon"}]', "[]")]),
        ("", "Ярлик", [("", "", "Ярлик")]),
    ],
)
def test_only_what_differs_is_named(before: Any, after: Any, lines: list[tuple[str, str | None, str | None]]) -> None:
    assert differences(before, after) == [Difference(*line) for line in lines]


def test_a_long_value_is_cut() -> None:
    [line] = differences(None, "x" * 5000)
    assert line.after == "x" * 399 + "…"
