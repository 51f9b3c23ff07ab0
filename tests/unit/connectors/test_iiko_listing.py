"""What becomes of iiko's lists before they are stored: each order once, its hash, its place in the cursor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.errors import RetryError
from connectors.iiko import cloud, spec
from connectors.iiko.listing import newest, pages, read_answer, to_record


def order(order_id: Any, timestamp: Any = 1, **fields: Any) -> dict[str, Any]:
    return {"id": order_id, "timestamp": timestamp, **fields}


@pytest.mark.parametrize("versions", [(1, 2), (2, 1), (2, None)])
def test_of_an_order_that_comes_twice_the_newest_version_counts(versions: tuple[Any, ...]) -> None:
    listed = newest([order("a", one, sum=one) for one in versions])
    assert [row["sum"] for row in listed.rows] == [2]


def test_rows_without_an_id_are_problems_and_the_rest_is_read_in_the_order_of_ids() -> None:
    listed = newest([order("b"), "x", order(None), order(True), order("a"), order("y" * 101), order("")])
    assert [row["id"] for row in listed.rows] == ["a", "b"]
    assert listed.problems == [
        f"orders: row {number} of the list cannot be read: it has no id" for number in (2, 3, 4, 6, 7)
    ]


def test_orders_of_another_organization_are_left_out_and_those_that_name_none_get_theirs() -> None:
    listed = newest(
        [order("a"), order("b", organizationId="o2"), order("c", organizationId="o1")], organization_id="o1"
    )
    assert [(row["id"], row["organizationId"]) for row in listed.rows] == [("a", "o1"), ("c", "o1")]


def test_the_timestamp_alone_makes_no_new_record_and_anything_else_does() -> None:
    first = to_record(order("a", 1, order={"sum": 1, "status": "Closed"}))
    moved = to_record(order("a", 2, order={"status": "Closed", "sum": 1}))
    changed = to_record(order("a", 1, order={"sum": 2, "status": "Closed"}))
    assert first.content_hash == moved.content_hash != changed.content_hash
    assert json.loads(moved.body)["timestamp"] == 2


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"maxRevision": "1", "ordersByOrganizations": []}, {"maxRevision": 1}]
)
def test_an_answer_of_another_form_is_asked_for_again(answer: Any) -> None:
    with pytest.raises(RetryError):
        read_answer(answer, "o1")


def test_a_list_is_cut_into_pages_and_an_empty_one_is_a_page() -> None:
    rows = [order(str(number)) for number in range(4)]
    assert [(len(some), is_last) for some, is_last in pages(rows, 2)] == [(2, False), (2, True)]
    assert [(len(some), is_last) for some, is_last in pages(rows, 3)] == [(3, False), (1, True)]
    assert list(pages([], 3)) == [([], True)]


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        {},
        {"organizations": 7, "seed": None},
        {"organizations": {"o": {"revision": -1, "at": "2026-03-02T09:00:00+00:00"}}, "seed": None},
        {"organizations": {"o": {"revision": 1, "at": 7}}, "seed": None},
        {"organizations": {}, "seed": {"organization": "o"}},
    ],
)
def test_a_cursor_that_is_none_of_ours_is_worth_nothing(cursor: Any) -> None:
    state = cloud.State.read(cursor)
    assert (state.revisions, state.seed) == ({}, None)
    assert spec.State.read(cursor, ["o"]) == spec.State(["o"])


def test_a_cursor_reads_back_as_it_was_written() -> None:
    written = {
        "organizations": {"o": {"revision": 7, "at": "2026-03-02T09:00:00+00:00"}},
        "seed": {
            "organization": "p",
            "revision": 8,
            "at": "2026-03-02T09:01:00+00:00",
            "top": "2026-03-02",
            "days": 3,
            "after": "a7",
        },
    }
    assert cloud.State.read(written).as_json() == written
    written = {
        "scope": ["o"],
        "watermark": "2026-03-02T09:00:00+00:00",
        "deep_at": "2026-03-01T09:00:00+00:00",
        "started": None,
        "lower": "2026-03-01 12:00:00.000",
        "after": "a7",
    }
    assert spec.State.read(written, ["o"]).as_json() == written
