"""The process map's layout: what must hold of every map, and a small one by hand."""

from __future__ import annotations

import random
import re
from itertools import combinations

import pytest

from dashboard.analytics.layout import Box, Layout, lay_out, spread


def overlap(one: Box, two: Box) -> bool:
    return (
        one.x < two.x + two.width
        and two.x < one.x + one.width
        and one.y < two.y + two.height
        and two.y < one.y + one.height
    )


def random_map(seed: int) -> tuple[list[list[str]], dict[tuple[str, str], float]]:
    chance = random.Random(seed)
    columns = [
        [f"{column}.{number}" for number in range(chance.randint(1, 6))] for column in range(chance.randint(1, 8))
    ]
    nodes = [node for column in columns for node in column]
    edges = {
        (chance.choice(nodes), chance.choice(nodes)): float(chance.randint(1, 500))
        for _ in range(chance.randint(0, 4 * len(nodes)))
    }
    return columns, edges


@pytest.mark.parametrize("seed", range(60))
def test_nothing_overlaps_and_nothing_is_left_out(seed: int) -> None:
    columns, edges = random_map(seed)
    found = lay_out(columns, edges)
    assert set(found.nodes) == {node for column in columns for node in column}
    assert set(found.edges) == set(edges)
    boxes = [*found.nodes.values(), *(route.label for route in found.edges.values())]
    for one, two in combinations(boxes, 2):
        assert not overlap(one, two)
    for box in boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= found.width
        assert box.y + box.height <= found.height


@pytest.mark.parametrize("seed", range(0, 60, 7))
def test_ways_back_are_drawn_apart_below_all_nodes(seed: int) -> None:
    columns, edges = random_map(seed)
    found = lay_out(columns, edges)
    column_of = {node: number for number, nodes in enumerate(columns) for node in nodes}
    floor = max(box.y + box.height for box in found.nodes.values())
    for (one, two), route in found.edges.items():
        assert route.is_back == (column_of[two] < column_of[one])
        if route.is_back:
            assert route.label.y >= floor


def ends(found: Layout, edge: tuple[str, str]) -> tuple[tuple[float, float], tuple[float, float]]:
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", found.edges[edge].path)]
    return (numbers[0], numbers[1]), (numbers[-2], numbers[-1])


def test_an_edge_goes_from_the_right_side_of_a_node_to_the_left_side_of_the_next() -> None:
    found = lay_out([["new"], ["made"], ["sent"]], {("new", "made"): 5.0, ("new", "sent"): 1.0})
    (x, y), (to_x, to_y) = ends(found, ("new", "sent"))
    one, two = found.nodes["new"], found.nodes["sent"]
    assert x == one.x + one.width
    assert one.y < y < one.y + one.height
    assert to_x == two.x
    assert two.y < to_y < two.y + two.height


def test_a_way_within_a_stage_comes_back_to_the_same_side() -> None:
    found = lay_out([["a", "b"]], {("a", "b"): 1.0, ("b", "b"): 1.0})
    (x, _), (to_x, to_y) = ends(found, ("a", "b"))
    assert x == to_x == found.nodes["a"].x + found.nodes["a"].width
    assert found.nodes["b"].y < to_y < found.nodes["b"].y + found.nodes["b"].height


def test_a_straight_process_is_a_straight_line() -> None:
    found = lay_out([["a"], ["b"], ["c"]], {("a", "b"): 3.0, ("b", "c"): 3.0})
    assert len({box.y for box in found.nodes.values()}) == 1


def test_edges_of_nodes_that_there_are_not_are_refused() -> None:
    with pytest.raises(KeyError):
        lay_out([["a"]], {("a", "b"): 1.0})


def test_places_are_as_near_to_the_wish_as_the_distances_allow() -> None:
    assert spread([0.0, 100.0], [10.0]) == [0.0, 100.0]
    assert spread([50.0, 50.0], [10.0]) == [45.0, 55.0]
    assert spread([50.0, 0.0, 200.0], [10.0, 10.0]) == [20.0, 30.0, 200.0]
