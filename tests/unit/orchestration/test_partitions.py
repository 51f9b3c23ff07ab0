"""Partition keys and the windows that they mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors.protocol import Window
from orchestration import partitions


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_adjoining_days_of_a_project_become_one_window() -> None:
    keys = ["2025-03-02|print-shop", "2025-03-01|print-shop", "2025-03-03|print-shop"]
    assert partitions.windows(keys) == {"print-shop": [Window(day("2025-03-01"), day("2025-03-04"))]}


def test_days_apart_stay_apart_and_projects_never_mix() -> None:
    keys = ["2025-03-01|a", "2025-03-03|a", "2025-03-01|b"]
    assert partitions.windows(keys) == {
        "a": [Window(day("2025-03-01"), day("2025-03-02")), Window(day("2025-03-03"), day("2025-03-04"))],
        "b": [Window(day("2025-03-01"), day("2025-03-02"))],
    }


def test_a_day_is_a_utc_day_also_when_the_clock_stands_elsewhere() -> None:
    evening_in_new_york = datetime(2025, 3, 1, 22, 0, tzinfo=timezone(timedelta(hours=-5)))
    key = partitions.key("print-shop", evening_in_new_york)
    assert str(key) == "2025-03-02|print-shop"
    assert partitions.windows([str(key)]) == {"print-shop": [Window(day("2025-03-02"), day("2025-03-03"))]}


def test_the_day_under_way_can_be_pulled_too() -> None:
    days = partitions.project_days("keycrm").get_partitions_def_for_dimension(partitions.DAY)
    now = datetime.now(UTC)
    assert days.has_partition_key(now.strftime("%Y-%m-%d"))
    assert not days.has_partition_key((now + timedelta(days=2)).strftime("%Y-%m-%d"))


def test_the_first_day_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_ELT_FIRST_DAY", "2019-06-01")
    assert partitions.first_day() == "2019-06-01"
    monkeypatch.delenv("CRM_ELT_FIRST_DAY")
    assert partitions.first_day() == "2020-01-01"
