"""A day or time that a person gives as the start."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sync.since import read_since, read_time

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 30, 22, tzinfo=UTC)),
        ("2026-01-31T09:00", datetime(2026, 1, 31, 7, tzinfo=UTC)),
        ("2026-01-31T09:00Z", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31 09:00:00+01:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_without_an_offset_it_is_in_the_projects_zone(text: str, expected: datetime) -> None:
    assert read_time(text, "Europe/Kyiv") == expected
    assert read_since(text, "Europe/Kyiv", now=NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "20260131", "7"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r'such as "2026-01-31T09:00"'):
        read_time(text, "Europe/Kyiv")


def test_a_start_in_the_future_is_refused_by_the_projects_clock() -> None:
    assert read_since("2026-03-01T14:00", "Europe/Kyiv", now=NOW) == NOW
    with pytest.raises(ValueError, match="2026-03-01T14:01 lies in the future"):
        read_since("2026-03-01T14:01", "Europe/Kyiv", now=NOW)
    with pytest.raises(ValueError, match="lies in the future"):
        read_since("2099-01-01", "UTC")
