"""Reads a YCLIENTS list page by page and loses nothing while the account changes under it.

Lists have no order that one could ask for, no snapshot, and totals that cannot be relied on. A row that moves from
before our place to behind it, or vanishes, pulls the rows after it to the left, over the border of the page read last:
they would never be seen. So each page begins before the place reached (with a `count` that does not divide it). A page
counts only if it shows a row that was read already and is as it was: what follows that row in the list is on this page
or behind it. Else reading goes back by a page. A row that has moved was edited: it is not as it was and proves nothing.

The vendor may give fewer rows than `count`; then smaller pages are asked for, and a short page alone is no end.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from connectors.errors import RetryError
from connectors.http import decode_json, encode_json
from connectors.protocol import RawRecord
from connectors.values.fields import ID_LENGTH
from connectors.values.times import parse_time

SMALLEST_PAGE = 20
"""No list of the vendor gives fewer rows than this where there are more."""
_OVERLAP = 5
_RECENT = 2000
_TAIL = 20
_SAME_PAGES = 5
"""So many pages without a new row, and the list does not move."""
_MOST_BACK = 200

Ask = Callable[[int, int], Awaitable[Sequence[msgspec.Raw]]]
"""(page from 1, rows a page) -> its rows."""

# Lists and single reads need not give a record's keys in one order.
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


@dataclass(slots=True)
class Position:
    """Where a pull stands. As JSON it is the cursor of a pull that was interrupted."""

    limit: int
    """Rows to ask for at once."""
    offset: int = 0
    """Rows of the list before our place."""
    full: int = 0
    """Most rows that were asked for and given: up to this a short page is the last one."""
    started: datetime | None = None
    newest: datetime | None = None
    """Greatest last_change_date read."""
    recent: dict[str, str] = field(default_factory=dict)
    """The rows read last: id -> what they were."""

    def as_json(self) -> dict[str, Any]:
        return {
            "limit": self.limit,
            "offset": self.offset,
            "full": self.full,
            "started": None if self.started is None else self.started.isoformat(),
            "newest": None if self.newest is None else self.newest.isoformat(),
            "tail": list(self.recent.items())[-_TAIL:],
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Position:
        """Raises ValueError, TypeError or KeyError if it is none."""
        limit, offset, full = value["limit"], value["offset"], value["full"]
        if not all(type(number) is int and number >= 0 for number in (limit, offset, full)) or limit == 0:
            raise ValueError("not a position")
        return Position(
            limit=limit,
            offset=offset,
            full=full,
            started=parse_time(value["started"]),
            newest=None if value["newest"] is None else parse_time(value["newest"]),
            recent={str(row_id): str(was) for row_id, was in value["tail"]},
        )


@dataclass(slots=True)
class ReadPage:
    records: list[RawRecord]
    """Rows that are new, or not as they were some pages before."""
    problems: list[str]
    is_last: bool = False


async def read_pages(
    stream: str, ask: Ask, position: Position, skip: Callable[[dict[str, Any]], bool] | None = None
) -> AsyncIterator[ReadPage]:
    """All pages from the position on, which moves before each page is handed over. `skip` tells rows that were not
    asked for. Raises ConnectorError."""
    same = backs = 0
    while True:
        page, count = next_page(position.offset, position.limit)
        start = (page - 1) * count
        rows = await ask(page, count)
        read, seen = _read(stream, rows, start, skip)
        if start > 0 and not any(position.recent.get(row_id) == was for row_id, was, _ in seen):
            backs += 1
            if backs > _MOST_BACK:
                raise RetryError(f"{stream}: the list loses rows faster than it can be read")
            position.offset = max(0, start - position.limit)
            continue
        is_known = [position.recent.get(row_id) == was for row_id, was, _ in seen]
        same = same + 1 if rows and all(is_known) else 0
        if same >= _SAME_PAGES:
            raise RetryError(f"{stream}: the list repeats its rows and does not end")
        known = {row_id for (row_id, _, _), was_read in zip(seen, is_known, strict=True) if was_read}
        read.records = [record for record in read.records if record.crm_id not in known]
        position.offset = start + len(rows)
        if len(rows) == count:
            position.full = max(position.full, count)
        elif rows:
            position.limit = min(position.limit, len(rows))
        for row_id, was, changed in seen:
            position.recent.pop(row_id, None)
            position.recent[row_id] = was
            if changed is not None and (position.newest is None or changed > position.newest):
                position.newest = changed
        for row_id in list(islice(position.recent, max(0, len(position.recent) - _RECENT))):
            del position.recent[row_id]
        read.is_last = len(rows) < count and (
            count <= position.full or (start == 0 and len(rows) < SMALLEST_PAGE) or all(is_known)
        )
        yield read
        if read.is_last:
            return


def next_page(offset: int, limit: int) -> tuple[int, int]:
    """(page, count) of a page that begins some rows before the offset and ends as far behind it as can be."""
    if offset <= 0:
        return 1, limit
    for overlap in (min(_OVERLAP, max(1, limit // 4)), 1):
        counts = [count for count in range(max(2, limit // 2), limit + 1) if offset % count >= overlap]
        if counts:
            count = max(counts, key=lambda count: (offset // count + 1) * count)
            return offset // count + 1, count
    # One more than the offset never divides it.
    count = next(count for count in range(2, offset + 2) if offset % count)
    return offset // count + 1, count


def to_record(stream: str, row: dict[str, Any], raw: bytes | None = None) -> RawRecord:
    """The record of a decoded row, whose volatile fields are taken out. Raises KeyError, ValueError if it has no id."""
    found = row["id"]
    crm_id = str(found) if type(found) is int else found.strip() if type(found) is str else ""
    if not crm_id or len(crm_id) > ID_LENGTH:
        raise ValueError("it has no id")
    # The text is kept as it came, but for \u escapes, which PHP makes of every letter that is not Latin.
    body = raw.decode() if raw and b"\\u" not in raw else encode_json(row).decode()
    forget(row)
    return RawRecord(stream, crm_id, body, hashlib.sha256(_canonical.encode(row)).digest())


def forget(row: dict[str, Any]) -> None:
    """Take out what changes by itself: counters of a client's other visits, ratings of the staff."""
    for name in ("visits", "spent", "paid", "balance", "success_visits_count", "fail_visits_count"):
        row.pop(name, None)
    client, staff = row.get("client"), row.get("staff")
    if type(client) is dict:
        for name in ("success_visits_count", "fail_visits_count", "visits", "spent", "paid", "balance"):
            client.pop(name, None)
    if type(staff) is dict:
        for name in ("rating", "votes_count", "comments_count", "avatar", "avatar_big"):
            staff.pop(name, None)


_Seen = tuple[str, str, datetime | None]
"""id, what the row was, last_change_date"""


def _read(
    stream: str, rows: Sequence[msgspec.Raw], start: int, skip: Callable[[dict[str, Any]], bool] | None
) -> tuple[ReadPage, list[_Seen]]:
    page = ReadPage([], [])
    seen: list[_Seen] = []
    for index, raw in enumerate(rows):
        content = bytes(raw)
        try:
            row = decode_json(content)
            if type(row) is not dict:
                raise ValueError("it is not an object")  # noqa: TRY301 - told with the others below
            is_skipped = skip is not None and skip(row)
            changed = _time(row.get("last_change_date"))
            record = to_record(stream, row, content)
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            reason = "it has no id" if isinstance(error, KeyError) else str(error)
            page.problems.append(f"{stream}: row {start + index + 1} of the list cannot be read: {reason}")
            # It shows our place in the list as well as any other row.
            seen.append((f"unreadable {hashlib.sha256(content).hexdigest()[:18]}", "", None))
            continue
        seen.append((record.crm_id, record.content_hash[:9].hex(), changed))
        if not is_skipped:
            page.records.append(record)
    return page, seen


def _time(value: object) -> datetime | None:
    try:
        return parse_time(value) if type(value) is str and value else None
    except ValueError:
        return None  # mapping reports it
