"""Pulls from the custom service `GET /api/transactions?since=`, which a 1C developer wrote for the base.

It has no pages and no upper end: all that there is since a time comes in one answer. Whether `since` is of the sale or
of its change, and whether it is included, is up to the author; so every pull reaches back behind the newest sale seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import quote, urlsplit

from connectors.errors import ConfigError, NotFoundError, RetryError
from connectors.http import decode_json
from connectors.onec.access import Access
from connectors.onec.rows import external_id, id_of, is_outside, to_record
from connectors.onec.settings import Settings, zone_name
from connectors.onec.times import as_text, read_time, wall_before
from connectors.protocol import Cursor, Page, RawRecord, Window
from connectors.values.times import parse_time, zone

PATH = "/api/transactions"
LOOK_BACK = timedelta(minutes=15)
BEGINNING = "2000-01-01T00:00:00"
"""Before all sales; the author may not have thought of a call without `since`."""


class Service:
    def __init__(self, access: Access, settings: Settings) -> None:
        self.access = access
        self._account = access.account
        self._settings = settings
        self._zone: tzinfo = zone(zone_name(settings, access.account.context))

    async def pull(self, cursor: Cursor | None, window: Window | None) -> AsyncIterator[Page]:
        """As `Connector.pull` says. The cursor moves with the last page: a pull that is cut asks again."""
        watermark = None if window is not None else _read_cursor(cursor)
        since = window.start if window is not None else self._since(watermark)
        rows = await self._ask(since)
        newest = self._newest(rows)
        records, problems = self._records(rows, window)
        size = max(1, self._account.batch_size)
        first = None if window is not None else _cursor(watermark)
        last = None if window is not None else _cursor(self._next_watermark(watermark, newest))
        for start in range(0, max(len(records), 1), size):
            is_last = start + size >= len(records)
            yield Page(
                records[start : start + size],
                last if is_last else first,
                len(records),
                problems if is_last else (),
            )

    async def try_out(self) -> str:
        """Raises ConnectorError unless the service answers as it should."""
        await self._ask(datetime.now(UTC))
        return f"the service {PATH}"

    @property
    def _path(self) -> str:
        """The service below base_url, or base_url itself where that names the service already."""
        base = self._account.base_url.strip().rstrip("/")
        return base if urlsplit(base).path.endswith(PATH) else PATH

    def _since(self, watermark: datetime | None) -> datetime | None:
        days = self._settings.look_back_days
        lower = None if watermark is None else watermark - (LOOK_BACK if days is None else timedelta(days=days))
        if self._account.since is not None:
            lower = self._account.since if lower is None else max(lower, self._account.since)
        return lower

    async def _ask(self, since: datetime | None) -> list[Any]:
        text = BEGINNING if since is None else max(BEGINNING, as_text(wall_before(since, self._zone)))
        try:
            answer = await self.access.get(f"{self._path}?since={quote(text, safe='')}", decode=decode_json)
        except NotFoundError as error:
            raise ConfigError(
                f"there is no service {PATH} at this base_url; check it, and that the service is published",
                status=error.status,
            ) from None
        rows = answer.value.get("transactions") if isinstance(answer.value, dict) else answer.value
        if rows is None and answer.value is None:
            return []
        if not isinstance(rows, list):
            raise RetryError(f"GET {PATH}: the answer is neither a list nor an object with the list `transactions`")
        return rows

    def _records(self, rows: list[Any], window: Window | None) -> tuple[list[RawRecord], list[str]]:
        """Each sale once, as it came last, whichever way its id was written."""
        found: dict[str, RawRecord] = {}
        problems: list[str] = []
        for number, row in enumerate(rows, 1):
            try:
                crm_id = id_of(row, self._settings.id)
            except ValueError as error:
                problems.append(f"{PATH}: row {number} of the answer cannot be read: {error}")
                continue
            if not is_outside(row.get(self._settings.date), self._zone, window, self._account.since):
                found[external_id(crm_id)] = to_record(crm_id, row)
        return list(found.values()), problems

    def _newest(self, rows: list[Any]) -> datetime | None:
        dates = (row.get(self._settings.date) for row in rows if type(row) is dict)
        return max((moment for date in dates if (moment := read_time(date, self._zone)) is not None), default=None)

    def _next_watermark(self, watermark: datetime | None, newest: datetime | None) -> datetime | None:
        """The newest date that the base has told; a sale of the future must not keep those of today from coming."""
        if newest is None:
            return watermark
        reached = min(newest, self.access.http.last_response_date or datetime.now(UTC))
        return reached if watermark is None else max(watermark, reached)


def _cursor(watermark: datetime | None) -> dict[str, str | None]:
    return {"watermark": None if watermark is None else watermark.isoformat()}


def _read_cursor(cursor: Cursor | None) -> datetime | None:
    """A cursor that is none of ours is worth nothing: all is read again."""
    value = None if cursor is None else cursor.get("watermark")
    try:
        return parse_time(value) if type(value) is str else None
    except ValueError:
        return None
