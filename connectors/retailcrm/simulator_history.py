"""A history of changes: ascending ids, one line a changed field."""

from __future__ import annotations

import bisect
import copy
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

from connectors.retailcrm.simulator_values import JSON, wall

_CODED = ("status", "payments.status", "delivery_type", "country", "payments.type", "order_product.status")


class History:
    """Of orders or of customers (`kind`)."""

    def __init__(self, kind: str, zone: Callable[[], tzinfo]) -> None:
        self.kind = kind
        self.entries: list[JSON] = []
        self.uncommitted: set[int] = set()
        """Ids that are given and not visible yet: their transaction is still open."""
        self.last_answer: JSON | None = None
        """Of the history's route."""
        self._zone = zone

    def add(
        self,
        entity: JSON,
        field: str,
        old: Any,
        new: Any,
        at: datetime,
        *,
        is_created: bool = False,
        is_deleted: bool = False,
        source: str = "user",
        is_own: bool = False,
        **more: Any,
    ) -> JSON:
        """`entity` is the whole object where it was created, else its stub."""
        entry: JSON = {"id": len(self.entries) + 701, "createdAt": wall(at, self._zone())}
        if is_created:
            entry["created"] = True
        if is_deleted:
            entry["deleted"] = True
        entry |= {"source": source, "field": field, "oldValue": copy.deepcopy(old), "newValue": copy.deepcopy(new)}
        if source == "api":
            entry["apiKey"] = {"current": is_own}
        if source == "user":
            entry["user"] = {"id": 5}
        entry |= {self.kind: copy.deepcopy(entity), **copy.deepcopy(more)}
        self.entries.append(entry)
        return entry

    def after(self, since_id: int) -> list[JSON]:
        """What is visible after that id."""
        start = bisect.bisect_right(self.entries, since_id, key=lambda entry: entry["id"])
        return [entry for entry in self.entries[start:] if entry["id"] not in self.uncommitted]


def as_value(field: str, value: Any) -> Any:
    """Entries of dictionaries are {"code"}, entities {"id"}, the rest as it is."""
    if value is None:
        return None
    if field in _CODED:
        return {"code": value}
    return {"id": value} if field in ("customer", "manager") else value
