from __future__ import annotations

from datetime import UTC, datetime

from database.repositories.queue import Entry
from database.repositories.raw import RawRow
from sync.landings import Landings

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def rows(*raw_ids: int, body: str = "{}") -> list[RawRow]:
    return [RawRow("api", raw_id, "toy", "orders", str(raw_id), None, NOW, "pull", body) for raw_id in raw_ids]


def test_rows_come_in_the_order_of_the_entries() -> None:
    landings = Landings()
    landings.add(rows(1, 2))
    landings.add(rows(3))
    assert landings.of([Entry(8, "api", [3]), Entry(7, "api", [1, 2])]) == rows(3, 1, 2)
    assert landings.of([]) == []


def test_entries_are_at_hand_as_a_whole_or_not_at_all() -> None:
    landings = Landings()
    landings.add(rows(1, 2))
    assert landings.of([Entry(7, "api", [1, 2, 3])]) is None
    assert landings.of([Entry(7, "api", [1, 2]), Entry(8, "webhook", [1])]) is None, "a webhook has ids of its own"


def test_what_is_applied_makes_room() -> None:
    landings = Landings(most_characters=5)
    landings.add(rows(1, 2, 3, body="xy"))
    assert landings.is_full
    landings.add(rows(4))
    assert landings.of([Entry(8, "api", [4])]) is None, "there was no room"
    landings.forget([Entry(9, "webhook", [1]), Entry(7, "api", [1])])
    assert not landings.is_full
    landings.add(rows(5))
    assert landings.of([Entry(8, "api", [2, 3, 5])]) is not None
    landings.clear()
    assert landings.of([Entry(8, "api", [5])]) is None
    assert not landings.is_full
