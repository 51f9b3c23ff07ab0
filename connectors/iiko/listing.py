"""Orders as iiko lists them -> records, each once, and pages of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.errors import RetryError
from connectors.http import encode_json
from connectors.protocol import RawRecord
from connectors.values.fields import ID_LENGTH
from connectors.values.times import parse_time, zone

_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


@dataclass(slots=True)
class Listed:
    """One answer to a question for orders."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """By id, each id once and in its newest version."""
    problems: list[str] = field(default_factory=list)
    revision: int | None = None


def to_record(row: dict[str, Any]) -> RawRecord:
    """`timestamp` is left out of the hash: it moves with every exchange between till and cloud."""
    content = _canonical.encode({name: value for name, value in row.items() if name != "timestamp"})
    return RawRecord("orders", str(row["id"]), encode_json(row).decode(), hashlib.sha256(content).digest())


def newest(rows: Iterable[Any], *, organization_id: str | None = None) -> Listed:
    """Rows with an id; of a row that comes twice, the version with the greater timestamp. Rows that say they belong to
    another organization than the one that was asked for are left out: filters may be ignored."""
    listed = Listed()
    found: dict[str, dict[str, Any]] = {}
    for index, row in enumerate(rows):
        order_id = row.get("id") if isinstance(row, dict) else None
        if not isinstance(order_id, str | int) or isinstance(order_id, bool) or not 0 < len(str(order_id)) <= ID_LENGTH:
            listed.problems.append(f"orders: row {index + 1} of the list cannot be read: it has no id")
            continue
        if organization_id is not None and row.setdefault("organizationId", organization_id) != organization_id:
            continue
        known = found.get(str(order_id))
        if known is None or _version(row) >= _version(known):
            found[str(order_id)] = row
    listed.rows = [found[order_id] for order_id in sorted(found)]
    return listed


def read_answer(answer: Any, organization_id: str) -> Listed:
    """The cloud's answer for one organization. Raises RetryError if it is not of that form."""
    groups = answer.get("ordersByOrganizations") if isinstance(answer, dict) else None
    revision = answer.get("maxRevision") if isinstance(answer, dict) else None
    if not isinstance(groups, list) or type(revision) is not int:
        raise RetryError("iiko answers for its deliveries with something else")
    rows: list[Any] = []
    for group in groups:
        orders = group.get("orders") if isinstance(group, dict) else None
        if isinstance(orders, list) and group.get("organizationId") in (None, organization_id):
            rows += orders
    listed = newest(rows, organization_id=organization_id)
    listed.revision = revision
    return listed


def pages(rows: Sequence[dict[str, Any]], size: int) -> Iterator[tuple[Sequence[dict[str, Any]], bool]]:
    """(rows of a page, whether it is the last one); one empty page where there are none."""
    size = max(1, size)
    for start in range(0, max(len(rows), 1), size):
        yield rows[start : start + size], start + size >= len(rows)


def local_text(moment: datetime, zone_name: str, *, shift: timedelta = timedelta(0)) -> str:
    """iiko's form of a time, on the wall clock of the zone."""
    return (moment.astimezone(zone(zone_name)) + shift).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def local_time(row: dict[str, Any], name: str, zone_name: str) -> datetime | None:
    """A time of the order in UTC; None if it cannot be read, which mapping reports."""
    order = row.get("order", row)
    value = order.get(name) if isinstance(order, dict) else None
    try:
        return parse_time(value, ZoneInfo(zone_name)) if isinstance(value, str) else None
    except ValueError:
        return None


def _version(row: dict[str, Any]) -> int:
    value = row.get("timestamp")
    return value if type(value) is int else 0
