"""Reads a KeyCRM list page by page and loses nothing while the account changes under it.

A list by page numbers shifts when its membership changes. An order that enters it before our place pushes rows to the
right: they are seen twice, which is harmless. One that leaves pulls rows to the left, over the border of the page read
last: they would never be seen. So nothing can leave but by deletion (the time filter has no upper end).

Plain reading asks for page after page, several at once. When `total` shrinks, a row was deleted, and reading turns
careful: each page then begins before the border (with a `limit` that does not divide it), and one that begins beyond
the last id read is not taken, but a page before it is asked for. When `total` is smaller in the end than the orders
created meanwhile allow, rows were deleted unnoticed, and all is read again, carefully. Plain reading costs a fifth
fewer requests, of which the account has one a second.

What a change during the pull still hides is newer than the watermark, and the next pull reads it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from connectors.errors import ConfigError, NotFoundError, RetryError
from connectors.http import Answer, HttpSession, decode_json, encode_json
from connectors.protocol import RawRecord
from connectors.values.fields import ID_LENGTH
from connectors.values.times import parse_time

MOST_PER_PAGE = 50
_AHEAD = 4
"""Pages asked for before they are needed."""
_SAME_PAGES = 5
"""So many times the very same rows, and the list does not move."""
_MOST_BACK = 200
_SECOND = timedelta(seconds=1)
_RECENT = 500
SKEW = timedelta(seconds=30)
"""The vendor's servers need not agree on the time."""


class Envelope(msgspec.Struct):
    """Laravel's paginator. Rows stay as they came."""

    data: list[msgspec.Raw] | dict[str, msgspec.Raw]
    """PHP writes a list that was filtered as an object keyed by position."""
    total: int | None = None
    per_page: int | str | None = None

    @property
    def rows(self) -> list[msgspec.Raw]:
        return list(self.data.values()) if isinstance(self.data, dict) else self.data


_envelope = msgspec.json.Decoder(Envelope)
# Lists and single reads need not give a record's keys in one order.
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


@dataclass(slots=True)
class Position:
    """Where a pull stands. As JSON it is the cursor of a pull that was interrupted."""

    started: datetime | None = None
    """By the server's clock."""
    offset: int = 0
    """Rows of the list before our place."""
    last_id: int = 0
    """Greatest id read."""
    total: int | None = None
    first_total: int | None = None
    created: int = 0
    """Rows read that were created since the start, and before reading became careful."""
    newest: datetime | None = None
    """Greatest updated_at read."""
    read_at: datetime | None = None
    """When the last page was answered while reading was plain, by the server's clock."""
    is_careful: bool = False
    plain_total: int | None = None
    """`total` of the last page that was read plainly, once reading is careful."""

    def as_json(self) -> dict[str, Any]:
        return {
            "started": _text(self.started),
            "offset": self.offset,
            "last_id": self.last_id,
            "total": self.total,
            "first_total": self.first_total,
            "created": self.created,
            "newest": _text(self.newest),
            "read_at": _text(self.read_at),
            "is_careful": self.is_careful,
            "plain_total": self.plain_total,
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Position:
        """Raises ValueError, TypeError or KeyError if it is none."""
        position = Position(
            started=_moment(value["started"]),
            offset=_whole(value["offset"]),
            last_id=_whole(value["last_id"]),
            total=_whole_or_none(value["total"]),
            first_total=_whole_or_none(value["first_total"]),
            created=_whole(value["created"]),
            newest=_moment(value["newest"]),
            read_at=_moment(value["read_at"]),
            is_careful=value["is_careful"] is True,
            plain_total=_whole_or_none(value["plain_total"]),
        )
        if position.started is None:
            raise ValueError("not a position")
        return position


@dataclass(slots=True)
class ReadPage:
    records: list[RawRecord]
    problems: list[str]
    times: list[tuple[object, object, object]]
    """id, updated_at, created_at of each row, skipped or not, as they came."""
    total: int | None
    is_last: bool


@dataclass(slots=True)
class Listing:
    """What to read: a path with its parameters, and how a row becomes a record."""

    stream: str
    path: str
    params: dict[str, object]
    headers: Mapping[str, str]
    limit: int = MOST_PER_PAGE
    is_ascending: bool = False
    """Whether the vendor promises ascending ids."""
    skip: Callable[[dict[str, Any]], bool] | None = None
    """Rows that the filter lets through and that were not asked for."""
    position: Position = field(default_factory=Position)


async def read_pages(http: HttpSession, listing: Listing) -> AsyncIterator[ReadPage]:
    """All pages from the listing's position on, which moves before each page is handed over. Raises ConnectorError."""
    position = listing.position
    waiting: deque[_Asked] = deque()
    recent: deque[str] = deque(maxlen=_RECENT)
    previous: list[str] = []
    same = back = backs = 0
    try:
        while True:
            _ask(http, listing, waiting)
            asked = waiting.popleft()
            answer = await asked.task
            envelope = answer.value
            if position.started is None:
                position.started = answer.date or datetime.now(UTC) - timedelta(minutes=2)
                position.first_total = envelope.total
            if not position.is_careful:
                if position.offset > 0 and _has_shrunk(position, envelope.total):
                    await _drop(waiting)
                    position.is_careful, position.plain_total = True, position.total
                    continue
                position.read_at = answer.date or datetime.now(UTC)
            position.total = envelope.total if envelope.total is not None else position.total
            limit = _given_limit(asked.limit, envelope)
            if limit < asked.limit:
                listing.limit = min(listing.limit, limit)
            start = (asked.page - 1) * limit
            page = _read_rows(listing, envelope)
            ids = [str(row_id) for row_id, _, _ in page.times]
            if position.is_careful and start > 0 and _leaves_a_gap(listing, ids, recent):
                back, backs = back + 1, backs + 1
                if backs > _MOST_BACK:
                    raise RetryError(f"{listing.path}: the list loses rows faster than it can be read")
                position.offset = max(0, min(position.offset, start) - listing.limit * back)
                continue
            back = 0
            same = same + 1 if ids and ids == previous else 0
            if same >= _SAME_PAGES:
                raise RetryError(f"{listing.path}: the list repeats page {asked.page} and does not end")
            previous = ids
            recent += ids
            position.offset = start + len(envelope.rows)
            for row_times in page.times:
                _note_row(position, *row_times)
            page.is_last = len(envelope.rows) < limit
            if page.is_last and _has_lost_rows(listing, position):
                await _drop(waiting)
                position.is_careful, position.offset, position.last_id = True, 0, 0
                position.first_total = None  # nothing is in doubt any more
                recent.clear()
                page.is_last = False
            yield page
            if page.is_last:
                return
    finally:
        await _drop(waiting)


def to_record(stream: str, row: dict[str, Any], raw: bytes | None = None) -> RawRecord:
    """The record of a decoded row. Raises KeyError or ValueError if it has no id."""
    crm_id = row["id"]
    if type(crm_id) is not int and not (type(crm_id) is str and 0 < len(crm_id) <= ID_LENGTH):
        raise ValueError("no id")
    # The text is kept as it came, but for \u escapes, which PHP makes of every letter that is not Latin.
    body = raw.decode() if raw is not None and b"\\u" not in raw else encode_json(row).decode()
    without = _VOLATILE.get(stream)
    if without is not None:
        without(row)
    return RawRecord(stream, str(crm_id), body, hashlib.sha256(_canonical.encode(row)).digest())


def _forget_order(row: dict[str, Any]) -> None:
    for name in ("last_synced_at", "is_expired", "has_reserves"):
        row.pop(name, None)
    products = row.get("products")
    for line in products if type(products) is list else ():
        # What the warehouse has is no matter of the order; the offer's own prices are read from the offers.
        if type(line) is dict and type(offer := line.get("offer")) is dict:
            for name in ("quantity", "in_reserve", "reserve"):
                offer.pop(name, None)


def _forget_offer(row: dict[str, Any]) -> None:
    for name in ("quantity", "in_reserve", "reserve"):
        row.pop(name, None)


def _forget_product(row: dict[str, Any]) -> None:
    for name in ("quantity", "in_reserve", "reserve"):
        row.pop(name, None)


_VOLATILE: dict[str, Callable[[dict[str, Any]], None]] = {
    "orders": _forget_order,
    "offers": _forget_offer,
    "products": _forget_product,
}


@dataclass(frozen=True, slots=True)
class _Asked:
    page: int
    limit: int
    task: asyncio.Task[Answer[Envelope]]


def _ask(http: HttpSession, listing: Listing, waiting: deque[_Asked]) -> None:
    """Ask for the page at the listing's place, and for some behind it while reading is plain."""
    position = listing.position
    if position.is_careful:
        pages = [straddling_page(position.offset, listing.limit)]
    else:
        first = position.offset // listing.limit + 1
        last = first
        if position.started is not None and position.total is not None:
            # Never beyond the end: each request counts against the account's limit.
            end = -(-position.total // listing.limit)
            last = max(first, min(end, first + min(_AHEAD, http.max_concurrent) - 1))
        pages = [(page, listing.limit) for page in range(waiting[-1].page + 1 if waiting else first, last + 1)]
    for page, limit in pages:
        waiting.append(_Asked(page, limit, asyncio.create_task(_fetch(http, listing, page, limit))))


def straddling_page(offset: int, limit: int) -> tuple[int, int]:
    """(page, limit) of a page that begins before the offset and ends behind it, as far behind as can be."""
    if offset <= 0:
        return 1, limit
    sizes = [size for size in range(max(2, limit // 2), limit + 1) if offset % size]
    if not sizes:
        sizes = [next(size for size in range(2, offset + 2) if size > limit and offset % size)]
    size = max(sizes, key=lambda size: (offset // size + 1) * size)
    return offset // size + 1, size


async def _fetch(http: HttpSession, listing: Listing, page: int, limit: int) -> Answer[Envelope]:
    params = {**listing.params, "page": page, "limit": limit}
    try:
        return await http.request("GET", listing.path, params=params, headers=listing.headers, decode=_envelope.decode)
    except NotFoundError as error:
        raise ConfigError(f"{error.message} (there is no such list: check base_url)", status=404) from None


async def _drop(waiting: deque[_Asked]) -> None:
    tasks = [asked.task for asked in waiting]
    waiting.clear()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _has_shrunk(position: Position, total: int | None) -> bool:
    return total is not None and position.total is not None and total < position.total


def _leaves_a_gap(listing: Listing, ids: list[str], recent: deque[str]) -> bool:
    """Whether a page that does not start the list begins beyond what has been read."""
    if not ids:
        return True
    if listing.is_ascending and ids[0].isdigit():
        return int(ids[0]) > listing.position.last_id
    # The order is unknown: some row that was read must be on the page. After a resume nothing is known of them.
    return bool(recent) and set(recent).isdisjoint(ids)


def _has_lost_rows(listing: Listing, position: Position) -> bool:
    """Whether rows left unnoticed while reading was plain: each was made up for, in `total`, by a new one."""
    if not listing.is_ascending or position.first_total is None or position.offset <= listing.limit:
        return False
    total = position.plain_total if position.is_careful else position.total
    return total is not None and total < position.first_total + position.created


def _given_limit(asked: int, envelope: Envelope) -> int:
    """Where the vendor gives fewer rows a page than asked for, a short page is no last page."""
    try:
        given = int(envelope.per_page) if envelope.per_page is not None else asked
    except ValueError:
        return asked
    return given if 0 < given < asked else asked


def _read_rows(listing: Listing, envelope: Envelope) -> ReadPage:
    page = ReadPage([], [], [], envelope.total, is_last=False)
    for index, raw in enumerate(envelope.rows):
        content = bytes(raw)
        try:
            row = _as_object(decode_json(content))
            times = row["id"], row.get("updated_at"), row.get("created_at")
            record = None if listing.skip is not None and listing.skip(row) else to_record(listing.stream, row, content)
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            reason = "it has no id" if isinstance(error, KeyError) else str(error)
            place = listing.position.offset + index + 1
            page.problems.append(f"{listing.path}: row {place} of the list cannot be read: {reason}")
            continue
        page.times.append(times)
        if record is not None:
            page.records.append(record)
    return page


def _note_row(position: Position, row_id: object, updated: object, created: object) -> None:
    number = int(row_id) if type(row_id) is int or (type(row_id) is str and row_id.isdigit()) else 0
    is_new = number > position.last_id
    position.last_id = max(position.last_id, number)
    try:
        moment = parse_time(updated) if type(updated) is str else None
        if moment is None or position.started is None:
            return
        if position.newest is None or moment > position.newest:
            position.newest = moment
        if not is_new or type(created) is not str or moment <= position.started:
            return
        created_at = parse_time(created)
        # The header Date has whole seconds.
        until = position.read_at + _SECOND if position.is_careful and position.read_at is not None else created_at
        if position.started + _SECOND < created_at <= until:
            position.created += 1
    except ValueError:
        return  # mapping reports it


def _as_object(value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError("it is not an object")
    return value


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(value: Any) -> datetime | None:
    return None if value is None else parse_time(value)


def _whole_or_none(value: Any) -> int | None:
    return None if value is None else _whole(value)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value
