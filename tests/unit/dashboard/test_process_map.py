"""From transitions to nodes and edges: the order of the stages, the threshold, colours."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dashboard.analytics.process_map import in_order, process_map

STATUSES = {"1": ("New", "intake"), "2": ("Making", "work"), "3": ("Packed", "work"), "4": ("Sent", "out")}
STATUSES |= {"9": ("Cancelled", "lost")}


def row(one: str, two: str, orders: int, median: int | None = 60, *, is_urgent: bool = False) -> dict[str, Any]:
    from_name, from_group = STATUSES.get(one, (None, None))
    to_name, to_group = STATUSES[two]
    return {
        "from_status_id": one, "from_status_name": from_name, "from_status_group_id": from_group,
        "from_status_group_name": from_group, "to_status_id": two, "to_status_name": to_name,
        "to_status_group_id": to_group, "to_status_group_name": to_group, "is_urgent": is_urgent,
        "transitions": orders + 1 if one else orders, "orders": orders,
        "median_working_seconds": None if median is None else Decimal(median),
        "median_elapsed_seconds": None if median is None else Decimal(10 * median),
    }  # fmt: skip


ROWS = [
    row("", "1", 90, None),
    row("", "1", 10, None, is_urgent=True),
    row("1", "2", 80, 100),
    row("1", "2", 10, 20, is_urgent=True),
    row("1", "9", 5, 500),
    row("2", "3", 85, 200),
    row("3", "2", 4, 300),
    row("3", "4", 83, 400),
    row("4", "2", 2, 600),
]


def test_stages_stand_as_orders_pass_them_and_cancelled_ones_last() -> None:
    found = process_map(ROWS, {"lost"}, "working", 0)
    assert found.stages == ["", "intake", "work", "out", "lost"]
    assert found.orders == 100
    assert {node.name: node.visits for node in found.nodes.values()} == {
        "": 0, "New": 100, "Making": 80 + 1 + 10 + 1 + 4 + 1 + 2 + 1, "Packed": 86, "Sent": 84, "Cancelled": 6,
    }  # fmt: skip


def test_orders_of_both_kinds_add_up_and_the_colour_is_of_the_more_frequent_kind() -> None:
    edges = {(edge.from_id, edge.to_id): edge for edge in process_map(ROWS, {"lost"}, "working", 0).edges}
    assert edges["1", "2"].orders == 90
    assert edges["1", "2"].median == 100
    assert edges["1", "2"].medians == {False: Decimal(100), True: Decimal(20)}
    assert edges["", "1"].median is None


def test_the_clock_is_the_one_that_is_chosen() -> None:
    edges = {(edge.from_id, edge.to_id): edge for edge in process_map(ROWS, {"lost"}, "elapsed", 0).edges}
    assert edges["3", "4"].median == 4000


def test_rare_transitions_are_left_out_with_the_statuses_that_only_they_lead_to() -> None:
    found = process_map(ROWS, {"lost"}, "working", 6)
    assert [(edge.from_id, edge.to_id) for edge in found.edges] == [("", "1"), ("1", "2"), ("2", "3"), ("3", "4")]
    assert found.left_out == 3
    assert set(found.nodes) == {"", "1", "2", "3", "4"}


def test_a_transition_of_exactly_the_share_is_shown() -> None:
    found = process_map(ROWS, {"lost"}, "working", 5)
    assert ("1", "9") in {(edge.from_id, edge.to_id) for edge in found.edges}


def test_ways_back_to_an_earlier_stage_are_told_from_those_within_one() -> None:
    found = process_map(ROWS, {"lost"}, "working", 0)
    back = {edge for edge, route in found.layout.edges.items() if route.is_back}
    assert back == {("4", "2")}


def test_slower_edges_have_hotter_colours() -> None:
    found = process_map(ROWS, {"lost"}, "working", 0)
    assert found.heat_bounds == [200, 300, 400, 500]
    assert [found.heats[edge] for edge in [("1", "2"), ("2", "3"), ("3", "2"), ("3", "4"), ("4", "2")]] == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert ("", "1") not in found.heats


def test_a_project_of_few_stages_is_laid_out_by_its_statuses() -> None:
    rows = [row("", "2", 10, None), row("2", "3", 9), row("3", "2", 1)]
    found = process_map(rows, set(), "working", 0)
    boxes = found.layout.nodes
    assert boxes[""].x < boxes["2"].x < boxes["3"].x
    assert found.layout.edges["3", "2"].is_back


def test_nothing_makes_an_empty_map() -> None:
    found = process_map([], set(), "working", 1)
    assert (found.nodes, found.edges, found.orders) == ({}, [], 0)


def test_an_order_of_names_sends_little_weight_backwards() -> None:
    assert in_order({"a", "b", "c"}, {("c", "a"): 5, ("a", "b"): 5, ("b", "c"): 1}) == ["c", "a", "b"]
    assert in_order({"2", "10", "1"}, {}) == ["1", "2", "10"]
