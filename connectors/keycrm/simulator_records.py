"""Tables of the simulated account: records by id, indexes by time, lists remembered until something changes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from connectors.keycrm.simulator_values import JSON

_REMEMBERED_LISTS = 16


@dataclass(slots=True)
class Record:
    """A row: `fields` is its JSON without relations."""

    fields: JSON

    @property
    def id(self) -> int:
        return int(self.fields["id"])


@dataclass(slots=True)
class Order(Record):
    """An order with what belongs to it. Change it through `SimulatorState`, which keeps totals and indexes right."""

    lines: list[JSON] = field(default_factory=list)
    """As in `products`, and `offer_id` (null for an ad-hoc line), which the API does not show."""
    payments: list[JSON] = field(default_factory=list)
    shipping: JSON = field(default_factory=dict)
    shipping_history: list[JSON] = field(default_factory=list)
    marketing: JSON | None = None
    custom_fields: list[JSON] = field(default_factory=list)
    tag_ids: list[int] = field(default_factory=list)
    expenses: list[JSON] = field(default_factory=list)
    assigned_ids: list[int] = field(default_factory=list)
    attachments: list[JSON] = field(default_factory=list)


@dataclass(slots=True)
class Buyer(Record):
    shipping: list[JSON] = field(default_factory=list)
    custom_fields: list[JSON] = field(default_factory=list)
    loyalty: JSON | None = None


class TimeIndex:
    """Ids ordered by (stamp, id)."""

    def __init__(self) -> None:
        self._pairs: list[tuple[str, int]] = []

    def add(self, at: str, record_id: int) -> None:
        insort(self._pairs, (at, record_id))

    def remove(self, at: str, record_id: int) -> None:
        position = bisect_left(self._pairs, (at, record_id))
        if position < len(self._pairs) and self._pairs[position] == (at, record_id):
            del self._pairs[position]

    def between(self, low: str, high: str) -> list[int]:
        """Ids of the closed interval, in order of time."""
        first = bisect_left(self._pairs, (low, -1))
        last = bisect_right(self._pairs, (high, 1 << 62))
        return [record_id for _, record_id in self._pairs[first:last]]

    def all(self) -> list[int]:
        return [record_id for _, record_id in self._pairs]


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Query(Generic[R]):
    """What a list shows. `key` names it, so that the next page of the same list is a slice of what was found."""

    key: Hashable
    window: tuple[str, str, str] | None = None
    """A time field with an index, from, to."""
    tests: Sequence[Callable[[R], bool]] = ()
    sort: str = "id"


class Table(Generic[R]):
    """Records of one kind. `indexed` are the time fields that may be asked for by window or sorted by."""

    def __init__(self, *indexed: str) -> None:
        self.rows: dict[int, R] = {}
        self._indexes = {name: TimeIndex() for name in indexed}
        self._next_id = 1
        self._lists: dict[Hashable, list[int]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[R]:
        return iter(self.rows.values())

    def get(self, record_id: int | None) -> R | None:
        return None if record_id is None else self.rows.get(record_id)

    def new_id(self) -> int:
        taken = self._next_id
        self._next_id += 1
        return taken

    def add(self, record: R) -> R:
        """Raises ValueError if the id is taken."""
        if record.id in self.rows:
            raise ValueError(f"id {record.id} is taken")
        self.rows[record.id] = record
        self._next_id = max(self._next_id, record.id + 1)
        for name, index in self._indexes.items():
            if (at := record.fields.get(name)) is not None:
                index.add(at, record.id)
        self._lists.clear()
        return record

    def change(self, record: R, **fields: Any) -> None:
        """Set fields, keeping the indexes right; call it without any after changing what a filter may see."""
        for name, index in self._indexes.items():
            if name in fields and fields[name] != (old := record.fields.get(name)):
                if old is not None:
                    index.remove(old, record.id)
                if fields[name] is not None:
                    index.add(fields[name], record.id)
        record.fields.update(fields)
        self._lists.clear()

    def remove(self, record_id: int) -> R:
        """Raises KeyError."""
        record = self.rows.pop(record_id)
        for name, index in self._indexes.items():
            if (at := record.fields.get(name)) is not None:
                index.remove(at, record_id)
        self._lists.clear()
        return record

    def select(self, query: Query[R]) -> list[int]:
        """Ids in the query's order. The list is remembered: do not change it."""
        if (known := self._lists.get(query.key)) is not None:
            return known
        if len(self._lists) >= _REMEMBERED_LISTS:
            self._lists.clear()
        found = self._lists[query.key] = self._find(query)
        return found

    def _find(self, query: Query[R]) -> list[int]:
        descending = query.sort.startswith("-")
        by = query.sort.lstrip("-")
        if query.window is not None:
            name, low, high = query.window
            ids, ordered_by = self._indexes[name].between(low, high), name
        elif by in self._indexes:
            ids, ordered_by = self._indexes[by].all(), by
        else:
            ids, ordered_by = list(self.rows), None
        if query.tests:
            rows = self.rows
            ids = [record_id for record_id in ids if all(test(rows[record_id]) for test in query.tests)]
        if by == "id":
            ids.sort()
        elif ordered_by != by:
            ids.sort(key=lambda record_id: (_sortable(self.rows[record_id].fields.get(by)), record_id))
        if descending:
            ids.reverse()
        return ids


def _sortable(value: Any) -> tuple[int, Any]:
    """NULLs first, as MySQL puts them."""
    return (0, 0) if value is None else (1, value)
