"""What the filters of the list offer: statuses and groups of the projects in view. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.orders.query import OrderFilter
from dashboard.orders.reading import Names


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    text: str


@dataclass(frozen=True, slots=True)
class Choices:
    groups: list[Choice]
    statuses: list[Choice]


def choices(known: Names, query: OrderFilter) -> Choices:
    """One choice for each id: projects that use it for different names have them all in it. The chosen one is there."""
    return Choices(
        _merged(((row.status_group_id, row.status_group_name) for row in known.groups), query.group),
        _merged(((row.status_id, row.status_name) for row in known.statuses), query.status),
    )


def _merged(rows: Iterable[tuple[str, str | None]], chosen: str | None) -> list[Choice]:
    texts: dict[str, dict[str, None]] = {}
    for value, name in rows:
        texts.setdefault(value, {})[name or value] = None
    if chosen is not None:
        texts.setdefault(chosen, {chosen: None})
    return [Choice(value, " / ".join(found)) for value, found in texts.items()]
