"""The process map: from rows of marts.agg_status_transitions to nodes and edges with their places; pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard.analytics.filters import Clock
from dashboard.analytics.layout import Layout, lay_out

START = ""
"""What was before an order's first event, as the mart calls it."""
HEATS = 5
"""Colours of an edge, by its median time: 0 the quickest fifth."""
_NO_STAGE = "\0"
_WIDEST = 7.0


@dataclass(frozen=True, slots=True)
class Edge:
    """All moves from one status straight to another."""

    from_id: str
    to_id: str
    orders: int
    transitions: int
    medians: Mapping[bool, Decimal | None]
    """Seconds in the status that was left, by is_urgent: medians of two groups are no median of both."""
    counted: Mapping[bool, int]
    """Orders, by is_urgent."""

    @property
    def median(self) -> Decimal | None:
        """Of the normal or the urgent orders, whichever are more."""
        most = max(self.counted, key=lambda is_urgent: (self.counted[is_urgent], not is_urgent))
        return self.medians[most]


@dataclass(frozen=True, slots=True)
class Node:
    status_id: str
    name: str
    group_id: str | None
    group_name: str | None
    visits: int


@dataclass(frozen=True, slots=True)
class ProcessMap:
    nodes: dict[str, Node]
    edges: list[Edge]
    """Those shown, the most frequent first."""
    left_out: int
    """Transitions below the threshold."""
    orders: int
    """All orders that have begun."""
    stages: list[str]
    """Names of the columns; empty for statuses without a stage."""
    layout: Layout
    heats: dict[tuple[str, str], int]
    """Of edges with a time."""
    heat_bounds: list[Decimal]
    """Medians at which the next colour begins: HEATS - 1, or fewer if there are few edges."""

    def width(self, edge: Edge) -> float:
        """Of the line, by orders."""
        most = max((each.orders for each in self.edges), default=1)
        return round(1 + (_WIDEST - 1) * math.sqrt(edge.orders / most), 1)


def edges_of(rows: Iterable[Mapping[str, Any]], clock: Clock) -> list[Edge]:
    """Normal and urgent orders of a transition together; an order is one or the other, so that orders add up."""
    cells: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        cells[row["from_status_id"], row["to_status_id"]].append(row)
    return [
        Edge(
            *pair,
            sum(row["orders"] for row in found),
            sum(row["transitions"] for row in found),
            {row["is_urgent"]: row[f"median_{clock}_seconds"] for row in found},
            {row["is_urgent"]: row["orders"] for row in found},
        )
        for pair, found in cells.items()
    ]


def process_map(
    rows: Sequence[Mapping[str, Any]], cancelled: Collection[str], clock: Clock, at_least: float
) -> ProcessMap:
    """Transitions of one project. `cancelled`: ids of groups that stand last; `at_least`: per cent of the orders."""
    edges = sorted(edges_of(rows, clock), key=lambda edge: (-edge.orders, edge.from_id, edge.to_id))
    orders = sum(edge.orders for edge in edges if edge.from_id == START)
    shown = [edge for edge in edges if edge.orders * 100 >= at_least * orders]
    nodes = _nodes(rows, {name for edge in shown for name in (edge.from_id, edge.to_id)})
    weights = {(edge.from_id, edge.to_id): float(edge.orders) for edge in shown}
    columns, stages = _columns(nodes, weights, cancelled)
    heats, bounds = _heats(shown)
    return ProcessMap(nodes, shown, len(edges) - len(shown), orders, stages, lay_out(columns, weights), heats, bounds)


def _nodes(rows: Iterable[Mapping[str, Any]], named: Collection[str]) -> dict[str, Node]:
    visits: Counter[str] = Counter()
    known: dict[str, tuple[str, str | None, str | None]] = {START: ("", None, None)}
    for row in rows:
        visits[row["to_status_id"]] += row["transitions"]
        for side in ("from", "to"):
            status = row[f"{side}_status_id"]
            if status != START:
                name = row[f"{side}_status_name"] or status
                known[status] = name, row[f"{side}_status_group_id"], row[f"{side}_status_group_name"]
    return {status: Node(status, *known[status], visits[status]) for status in sorted(named)}


def _columns(
    nodes: Mapping[str, Node], weights: Mapping[tuple[str, str], float], cancelled: Collection[str]
) -> tuple[list[list[str]], list[str]]:
    """Statuses by stage, in the order in which orders pass the stages; by themselves where a project has few stages."""
    groups = {status: node.group_id or _NO_STAGE for status, node in nodes.items() if status != START}
    begin = [START] if START in nodes else []
    if len(set(groups.values()) - set(cancelled)) >= 3:
        between: Counter[tuple[str, str]] = Counter()
        for (one, two), weight in weights.items():
            if one != START and groups[one] != groups[two]:
                between[groups[one], groups[two]] += int(weight)
        order = in_order(set(groups.values()), between, cancelled)
        columns = [[status for status in groups if groups[status] == group] for group in order]
        names = {node.group_id or _NO_STAGE: node.group_name or node.group_id or "" for node in nodes.values()}
        return ([begin, *columns] if begin else columns), [*([""] if begin else []), *(names[group] for group in order)]
    order = in_order(set(groups), weights, [status for status in groups if groups[status] in cancelled])
    layers = _layers(order, weights)
    columns = [[status for status in order if layers[status] == layer] for layer in sorted(set(layers.values()))]
    columns = [begin, *columns] if begin else columns
    return columns, [""] * len(columns)


def _layers(order: Sequence[str], weights: Mapping[tuple[str, str], float]) -> dict[str, int]:
    """The longest way to each status along edges that go forward in the order."""
    place = {status: number for number, status in enumerate(order)}
    layers = dict.fromkeys(order, 0)
    for status in order:
        for one, two in weights:
            if one == status and two in place and place[two] > place[one]:
                layers[two] = max(layers[two], layers[one] + 1)
    return layers


def in_order(names: Collection[str], weights: Mapping[tuple[str, str], float], last: Collection[str] = ()) -> list[str]:
    """Names so that little weight goes backwards: the greedy order of Eades, Lin and Smyth, by weights.

    Those of `last` come behind the others.
    """
    if last:
        early = in_order([name for name in names if name not in last], weights)
        return early + in_order([name for name in names if name in last], weights)
    left = set(names)
    head: list[str] = []
    tail: list[str] = []
    while left:
        out = dict.fromkeys(left, 0.0)
        into = dict.fromkeys(left, 0.0)
        for (one, two), weight in weights.items():
            if one in left and two in left and one != two:
                out[one] += weight
                into[two] += weight
        chosen = max(sorted(left, key=_natural), key=lambda name: (into[name] == 0, out[name] - into[name]))
        sinks = [name for name in left if out[name] == 0 and into[name] > 0]
        if sinks and into[chosen] > 0:
            sink = max(sinks, key=_natural)
            tail.insert(0, sink)
            left.remove(sink)
            continue
        head.append(chosen)
        left.remove(chosen)
    return head + tail


def _natural(name: str) -> tuple[int, str]:
    return len(name), name


def _heats(edges: Sequence[Edge]) -> tuple[dict[tuple[str, str], int], list[Decimal]]:
    """Fifths of the edges by their medians."""
    known = sorted(median for edge in edges if (median := edge.median) is not None)
    marks = {known[len(known) * number // HEATS] for number in range(1, HEATS)} if known else set()
    bounds = sorted(mark for mark in marks if mark > known[0])
    return {
        (edge.from_id, edge.to_id): sum(median >= bound for bound in bounds)
        for edge in edges
        if (median := edge.median) is not None
    }, bounds
