"""Pulls, reads and lists the documents of a base that has standard OData.

OData knows no time of change: documents are backdated, edited, unposted and marked as deleted under their old date. So
each pull reads again what is dated up to two days before the newest document seen, and once a day as far back as
`look_back_days` says, with all that was unposted or marked before that. The nightly comparison of ids finds what was
removed altogether.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from connectors.errors import ConfigError, NotFoundError
from connectors.onec.access import Access
from connectors.onec.odata import Documents
from connectors.onec.rows import id_of, is_outside, to_record
from connectors.onec.settings import Settings, zone_name
from connectors.onec.times import EMPTY_DATE, as_text, wall_after, wall_before
from connectors.onec.walk import Step, walk
from connectors.protocol import Cursor, Page, RawRecord, Window
from connectors.values.times import parse_time, zone

NEAR = timedelta(days=2)
DEEP_EVERY = timedelta(days=1)
LOOK_BACK_DAYS = 30
MOST_PER_PAGE = 1000
_UNDONE = "(Posted eq false or DeletionMark eq true)"


@dataclass(frozen=True, slots=True)
class _State:
    """What a cursor holds. During a pull `lower` and `at` say where it is."""

    watermark: str | None = None
    """Date of the newest document seen."""
    deep_at: datetime | None = None
    """When a pull last reached back as far as it should from time to time."""
    is_under_way: bool = False
    lower: str | None = None
    at: str | None = None
    is_of_undone: bool = False
    """Whether it reads what is undone and older than `lower`, before all from `lower` on."""

    def as_cursor(self, scope: str) -> Cursor:
        cursor: dict[str, Any] = {"scope": scope, "watermark": self.watermark, "deep_at": _iso(self.deep_at)}
        if self.is_under_way:
            cursor["pull"] = {"lower": self.lower, "at": self.at, "is_of_undone": self.is_of_undone}
        return cursor


class Base:
    """One base and its kind of document."""

    def __init__(self, access: Access, settings: Settings) -> None:
        account = access.account
        self.access = access
        self._account = account
        self._settings = settings
        self._documents = Documents(access, settings)
        self._zone: tzinfo = zone(zone_name(settings, account.context))
        self._size = max(1, min(account.batch_size, MOST_PER_PAGE))

    async def pull(self, cursor: Cursor | None, window: Window | None) -> AsyncIterator[Page]:
        """As `Connector.pull` says."""
        if window is not None:
            lower = as_text(wall_before(window.start, self._zone))
            upper = as_text(wall_after(window.end, self._zone))
            async for step in walk(self._documents, lower=lower, upper=upper, size=self._size):
                yield await self._page(step.rows, None, window)
            return
        scope = f"{self._settings.document} {self._settings.date}"
        state = self._begin(_read_cursor(cursor, scope))
        if state.is_of_undone:
            async for step in self._walk_undone(state):
                at = None if step.is_last else step.position.at or state.at
                state = replace(state, at=at, is_of_undone=not step.is_last)
                yield await self._page(step.rows, state.as_cursor(scope), None)
        has_seen = False
        async for step in walk(self._documents, lower=state.lower, start=state.at, size=self._size):
            has_seen = has_seen or bool(step.rows)
            state = replace(state, at=step.position.at or state.at)
            if step.is_last:
                if not has_seen and state.lower is not None:
                    await self._check_field_names()
                state = self._end(state)
            yield await self._page(step.rows, state.as_cursor(scope), None)

    async def read(self, crm_id: str) -> RawRecord:
        """One document, in the form in which it is pulled. Raises NotFoundError."""
        rows = await self._documents.rows([self._documents.identity(crm_id)], top=2)
        # A filter that is not understood may be ignored.
        found = [row for row in rows if str(row.get(self._settings.id)).casefold() == crm_id.casefold()]
        if not found:
            raise NotFoundError(f"transactions: 1C has no {crm_id}", status=404)
        [row] = await self._documents.with_item_names(found[:1])
        return to_record(id_of(row, self._settings.id), row)

    async def list_ids(self) -> AsyncIterator[Sequence[str]]:
        """Ids of the documents that there are, page by page, but for those older than `since`. Those that are unposted
        are among them: pulls bring them, and what has landed and is not listed is taken for gone."""
        select = f"{self._settings.id},{self._settings.date}"
        async for step in walk(self._documents, lower=self._since, size=MOST_PER_PAGE, select=select):
            rows = [row for row in step.rows if not self._is_outside(row, None)]
            yield [id_of(row, self._settings.id) for row in rows]

    async def try_out(self) -> str:
        """Raises ConnectorError unless documents can be read and have the fields that the settings name."""
        await self._check_field_names()
        await self._documents.with_item_names(await self._documents.rows((), top=1))
        return self._settings.document

    @property
    def _since(self) -> str | None:
        since = self._account.since
        return None if since is None else as_text(wall_before(since, self._zone))

    def _walk_undone(self, state: _State) -> AsyncIterator[Step]:
        """What is unposted or marked for deletion, of any age: few documents, for which no time of change is needed."""
        return walk(
            self._documents,
            lower=self._since,
            upper=state.lower,
            conditions=(_UNDONE,),
            start=state.at,
            size=self._size,
        )

    async def _page(self, rows: Sequence[dict[str, Any]], cursor: Cursor | None, window: Window | None) -> Page:
        self._check_fields_of(rows)
        records: list[RawRecord] = []
        problems: list[str] = []
        wanted = [row for row in rows if not self._is_outside(row, window)]
        for row in await self._documents.with_item_names(wanted):
            try:
                records.append(to_record(id_of(row, self._settings.id), row))
            except ValueError as error:
                problems.append(f"{self._settings.document}: a document cannot be read: {error}")
        return Page(records, cursor, problems=problems)

    def _begin(self, known: _State) -> _State:
        """Where to start. What a pull had begun it goes on with."""
        if known.is_under_way:
            return known
        now = datetime.now(UTC)
        is_deep = known.watermark is None or known.deep_at is None or now - known.deep_at >= DEEP_EVERY
        reach = timedelta(days=self._settings.look_back_days or LOOK_BACK_DAYS)
        lower = None
        if known.watermark is not None and not known.watermark.startswith(EMPTY_DATE):
            lower = as_text(datetime.fromisoformat(known.watermark) - (reach if is_deep else min(reach, NEAR)))
        has_older = is_deep and lower is not None and (self._since is None or lower > self._since)
        if self._since is not None:
            lower = self._since if lower is None else max(lower, self._since)
        return replace(
            known,
            is_under_way=True,
            lower=lower,
            deep_at=now if is_deep else known.deep_at,
            is_of_undone=has_older,
        )

    def _end(self, state: _State) -> _State:
        """A document of the future must not keep those of today from being read."""
        now = as_text(wall_after(self.access.http.last_response_date or datetime.now(UTC), self._zone))
        reached = [date for date in (state.watermark, state.at and min(state.at, now)) if date is not None]
        return _State(max(reached, default=None), state.deep_at)

    def _is_outside(self, row: Mapping[str, Any], window: Window | None) -> bool:
        return is_outside(row.get(self._settings.date), self._zone, window, self._account.since)

    async def _check_field_names(self) -> None:
        """A name that OData does not know, in a filter, brings an empty list and no error."""
        self._check_fields_of(await self._documents.newest())

    def _check_fields_of(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for setting in ("id", "date", "amount"):
            name = getattr(self._settings, setting)
            if rows and not any(name in row for row in rows):
                raise ConfigError(f"{self._settings.document} has no field {name}; check options.fields.{setting}")


def _read_cursor(cursor: Cursor | None, scope: str) -> _State:
    """A cursor that is none of ours, or of another kind of document, is worth nothing: all is read again."""
    if cursor is None or cursor.get("scope") != scope:
        return _State()
    try:
        deep_at = cursor.get("deep_at")
        state = _State(_wall(cursor.get("watermark")), None if deep_at is None else parse_time(deep_at))
        pull = cursor.get("pull")
        if pull is None:
            return state
        return replace(
            state,
            is_under_way=True,
            lower=_wall(pull["lower"]),
            at=_wall(pull["at"]),
            is_of_undone=pull["is_of_undone"] is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return _State()


def _wall(value: Any) -> str | None:
    if value is None:
        return None
    datetime.fromisoformat(value)
    return str(value)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
