"""Where the nodes and edges of a process map stand: a layered layout after Sugiyama; pure.

Stages are columns, in their order. Between two columns stand the labels of edges, each in a place of its own, so that
no two nodes and no two labels overlap; an edge over several columns passes the ones between in a place of its own too.
Places are sorted by the mean of their neighbours (barycentre) and put as near to it as their heights allow. Edges back
to an earlier column are drawn apart: each on a lane of its own below all else.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

NODE_WIDTH, NODE_HEIGHT = 176, 42
LABEL_WIDTH, LABEL_HEIGHT = 104, 16
_GAP = 22
"""Between columns."""
_BETWEEN_NODES, _BETWEEN_LABELS = 16, 5
_LANE, _LANE_LABEL = 22, 5
_MARGIN, _HEAD = 12, 28
_SWEEPS = 6
_PORTS = 0.8
"""Share of a node's side over which edges begin and end."""
_RADIUS = 8

Name = Hashable


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    """SVG path data."""
    label: Box
    is_back: bool


@dataclass(frozen=True, slots=True)
class Layout:
    nodes: dict[str, Box]
    edges: dict[tuple[str, str], Route]
    columns: list[float]
    """Left side of each column."""
    width: float
    height: float


@dataclass(slots=True)
class _Place:
    """A node, a label, or where a long edge passes a column."""

    rank: int
    height: float
    gap: float
    neighbours: list[tuple[Name, float]] = field(default_factory=list)
    """With weights."""
    middle: float = 0.0


def lay_out(columns: Sequence[Sequence[str]], edges: Mapping[tuple[str, str], float]) -> Layout:
    """`columns`: nodes by stage; `edges` (from, to) -> weight. Raises KeyError for an edge of an unknown node."""
    column_of = {node: number for number, nodes in enumerate(columns) for node in nodes}
    places: dict[Name, _Place] = {
        node: _Place(2 * column, NODE_HEIGHT, _BETWEEN_NODES) for node, column in column_of.items()
    }
    chains: dict[tuple[str, str], list[Name]] = {}
    back: list[tuple[str, str]] = []
    for edge, weight in edges.items():
        start, end = column_of[edge[0]], column_of[edge[1]]
        if end < start:
            back.append(edge)
            continue
        chain: list[Name] = [(edge, rank) for rank in range(2 * start + 1, max(2 * end, 2 * start + 2))]
        for name in chain:
            places[name] = _Place(name[1], LABEL_HEIGHT, _BETWEEN_LABELS)  # type: ignore[index]
        chains[edge] = chain
        way = [edge[0], *chain, edge[1]]
        for before, after in itertools.pairwise(way):
            places[before].neighbours.append((after, weight))
            places[after].neighbours.append((before, weight))
    ranks: dict[int, list[Name]] = defaultdict(list)
    for name, place in places.items():
        ranks[place.rank].append(name)
    _stack(ranks, places)
    for sweep in range(_SWEEPS):
        for rank in sorted(ranks, reverse=sweep % 2 == 1):
            _settle(ranks[rank], places)
    return _drawn(columns, column_of, places, chains, back)


def _stack(ranks: Mapping[int, list[Name]], places: Mapping[Name, _Place]) -> None:
    """To begin with: one below the other, each column about the same middle."""
    for names in ranks.values():
        y = 0.0
        for name in names:
            place = places[name]
            place.middle = y + place.height / 2
            y += place.height + place.gap
        for name in names:
            places[name].middle -= y / 2


def _settle(names: list[Name], places: Mapping[Name, _Place]) -> None:
    """Sort a rank by where its neighbours are, and put each as near to them as the others allow."""
    wanted = {name: _barycentre(places[name], places) for name in names}
    order = sorted(names, key=lambda name: (wanted[name], str(name)))
    names[:] = order
    middles = spread(
        [wanted[name] for name in order],
        [
            (places[one].height + places[two].height) / 2 + max(places[one].gap, places[two].gap)
            for one, two in itertools.pairwise(order)
        ],
    )
    for name, middle in zip(order, middles, strict=True):
        places[name].middle = middle


def _barycentre(place: _Place, places: Mapping[Name, _Place]) -> float:
    total = sum(weight for _, weight in place.neighbours)
    if not total:
        return place.middle
    return sum(places[name].middle * weight for name, weight in place.neighbours) / total


def spread(wanted: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Positions nearest to those wanted (least squares) of which each is at least its distance beyond the one before.

    `distances[i]` is between i and i + 1. By pooling neighbours that want the same place.
    """
    offsets = [0.0]
    for distance in distances:
        offsets.append(offsets[-1] + distance)
    pools: list[tuple[float, int]] = []
    for value, offset in zip(wanted, offsets, strict=True):
        mean, size = value - offset, 1
        while pools and pools[-1][0] > mean:
            before, count = pools.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        pools.append((mean, size))
    bases = [mean for mean, size in pools for _ in range(size)]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]


def _drawn(
    columns: Sequence[Sequence[str]],
    column_of: Mapping[str, int],
    places: Mapping[Name, _Place],
    chains: Mapping[tuple[str, str], list[Name]],
    back: Sequence[tuple[str, str]],
) -> Layout:
    top = min((place.middle - place.height / 2 for place in places.values()), default=0.0)
    down = _MARGIN + _HEAD - top
    lefts = {rank: _left(rank) for rank in range(2 * len(columns))}

    def box(name: Name) -> Box:
        place = places[name]
        width = NODE_WIDTH if place.rank % 2 == 0 and name in column_of else LABEL_WIDTH
        x = lefts[place.rank] + ((NODE_WIDTH - LABEL_WIDTH) / 2 if place.rank % 2 == 0 and width == LABEL_WIDTH else 0)
        return Box(round(x, 1), round(place.middle - place.height / 2 + down, 1), width, place.height)

    nodes = {node: box(node) for node in column_of}
    passed = {edge: [box(name) for name in chain] for edge, chain in chains.items()}
    ports = _ports(passed, nodes)
    routes = {edge: _forward(edge, boxes, nodes, ports) for edge, boxes in passed.items()}
    floor = max((place.middle + place.height / 2 for place in places.values()), default=0.0) + down
    # The shortest ways back nearest to the nodes: so lanes cross least.
    ordered = sorted(back, key=lambda edge: (column_of[edge[0]] - column_of[edge[1]], column_of[edge[1]], edge))
    for number, edge in enumerate(ordered):
        routes[edge] = _backward(nodes[edge[0]], nodes[edge[1]], floor + _LANE * (number + 1), number)
    height = floor + _LANE * len(back) + 2 * _MARGIN
    has_last_labels = any(name_rank % 2 and name_rank == 2 * len(columns) - 1 for name_rank in _ranks(places))
    width = _left(2 * len(columns) - (0 if has_last_labels else 1)) - _GAP + _MARGIN
    return Layout(nodes, routes, [lefts[2 * number] for number in range(len(columns))], width, round(height, 1))


def _ranks(places: Mapping[Name, _Place]) -> set[int]:
    return {place.rank for place in places.values()}


def _left(rank: int) -> float:
    pairs, rest = divmod(rank, 2)
    return _MARGIN + _GAP + pairs * (NODE_WIDTH + LABEL_WIDTH + 2 * _GAP) + rest * (NODE_WIDTH + _GAP)


def _ports(
    passed: Mapping[tuple[str, str], Sequence[Box]], nodes: Mapping[str, Box]
) -> dict[tuple[str, str, str], float]:
    """Where edges leave and enter nodes, by (from, to, end): spread over a node's side, in the order of their labels."""
    sides: dict[tuple[str, str], list[tuple[float, tuple[str, str, str]]]] = defaultdict(list)
    for (one, two), boxes in passed.items():
        is_inside = nodes[one].x == nodes[two].x
        sides[one, "right"].append((boxes[0].middle, (one, two, "out")))
        sides[two, "right" if is_inside else "left"].append((boxes[-1].middle + 0.5, (one, two, "in")))
    ports = {}
    for (node, _), ends in sides.items():
        room = nodes[node].height * _PORTS
        for number, (_, end) in enumerate(sorted(ends)):
            ports[end] = round(nodes[node].middle + room * ((number + 0.5) / len(ends) - 0.5), 1)
    return ports


def _forward(
    edge: tuple[str, str], passed: Sequence[Box], nodes: Mapping[str, Box], ports: Mapping[tuple[str, str, str], float]
) -> Route:
    """From the right side of one node, through its places, to the left side of the other.

    Within a stage it turns at its label and comes back to the right side.
    """
    one, two = nodes[edge[0]], nodes[edge[1]]
    label = passed[0]
    x, y, end = one.x + one.width, ports[(*edge, "out")], ports[(*edge, "in")]
    parts = [f"M{x:g} {y:g}"]
    if one.x == two.x:
        parts.append(_curve(x, y, label.x, label.middle))
        parts.append(_curve(label.x, label.middle, x, end))
        return Route("".join(parts), label, is_back=False)
    for box in passed:
        parts.append(_curve(x, y, box.x, box.middle))
        parts.append(f"H{box.x + box.width:g}")
        x, y = box.x + box.width, box.middle
    parts.append(_curve(x, y, two.x, end))
    return Route("".join(parts), label, is_back=False)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    half = round((x + to_x) / 2, 1)
    return f"C{half:g} {y:g} {half:g} {to_y:g} {to_x:g} {to_y:g}"


def _backward(one: Box, two: Box, lane: float, number: int) -> Route:
    """Down beside the one node, along a lane below all, up beside the other: with rounded corners."""
    shift = 4 + 3 * (number % 3)
    right, left = one.x + one.width + shift, two.x - shift
    begin, end, r = one.middle + 8, two.middle + 8, _RADIUS / 2
    path = (
        f"M{one.x + one.width:g} {begin:g}H{right - r:g}Q{right:g} {begin:g} {right:g} {begin + r:g}"
        f"V{lane - r:g}Q{right:g} {lane:g} {right - r:g} {lane:g}H{left + r:g}Q{left:g} {lane:g} {left:g} {lane - r:g}"
        f"V{end + r:g}Q{left:g} {end:g} {left + r:g} {end:g}H{two.x:g}"
    )
    middle = (left + right) / 2
    label = Box(round(middle - LABEL_WIDTH / 2, 1), round(lane - LABEL_HEIGHT / 2, 1), LABEL_WIDTH, LABEL_HEIGHT)
    return Route(path, label, is_back=True)
