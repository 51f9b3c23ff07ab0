"""The dialect of the requirement: `POST /api/orders/list {dateFrom}`, which has neither pages nor an upper end.

What `dateFrom` is compared with is not said: the order's date, or the time of its last change. So a pull always reads
back further than the pull before it ended: a day each time, a week once a day, for orders that are closed later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.errors import NotFoundError, RetryError
from connectors.iiko.api import Api, Organization
from connectors.iiko.guests import Guests
from connectors.iiko.listing import Listed, as_text, local_text, local_time, newest, pages, to_record
from connectors.iiko.places import zone_of
from connectors.protocol import Cursor, Page, RawRecord, Window
from connectors.values.times import parse_time

LOOKBACK = timedelta(days=1)
DEEP_LOOKBACK = timedelta(days=7)
DEEP_EVERY = timedelta(days=1)
BEGINNING = "2000-01-01 00:00:00.000"
"""As good as no lower end; `dateFrom` must be given."""


@dataclass(slots=True)
class State:
    """The cursor. A pull that was cut goes on with the ids after `after`, of a list that is asked for again."""

    scope: list[str]
    """The organizations that it speaks of."""
    watermark: datetime | None = None
    deep_at: datetime | None = None
    """When a week was last read."""
    started: datetime | None = None
    lower: str | None = None
    after: str = ""

    def as_json(self) -> dict[str, Any]:
        times = {"watermark": self.watermark, "deep_at": self.deep_at, "started": self.started}
        named = {name: None if at is None else as_text(at) for name, at in times.items()}
        return {"scope": self.scope, **named, "lower": self.lower, "after": self.after}

    @staticmethod
    def read(cursor: Cursor | None, scope: list[str]) -> State:
        """A cursor that is none of ours, or of other organizations, is worth nothing: everything is read again."""
        try:
            if cursor is None or cursor["scope"] != scope:
                return State(scope)
            times = [cursor[name] for name in ("watermark", "deep_at", "started")]
            watermark, deep_at, started = (None if at is None else parse_time(at) for at in times)
            lower = cursor["lower"]
            return State(
                scope, watermark, deep_at, started, None if lower is None else str(lower), str(cursor["after"])
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return State(scope)


class Orders:
    """One pull."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._guests = Guests(api)

    async def changes(self, cursor: Cursor | None) -> AsyncIterator[Page]:
        """What may have changed since the cursor. Raises ConnectorError."""
        organizations = await self._api.organizations()
        now, account = self._api.now, self._api.account
        state = State.read(cursor, [one.organization_id for one in organizations])
        if state.started is None or state.lower is None:
            state.started, state.lower, state.after = now, self._lower(organizations, state, now), ""
        listed = await self._list(organizations, state.lower)
        rows = [row for row in listed.rows if str(row["id"]) > state.after]
        is_deep = state.watermark is None or self._is_deep(state, state.started)
        for some, is_last in pages(rows, account.batch_size):
            await self._add_guests(organizations, some)
            if is_last:
                deep_at = state.started if is_deep else state.deep_at
                state = State(state.scope, state.started, deep_at)
            else:
                state.after = str(some[-1]["id"])
            yield Page([to_record(row) for row in some], state.as_json(), problems=listed.problems if is_last else ())

    async def window(self, window: Window) -> AsyncIterator[Page]:
        """Orders that were taken in the window."""
        organizations = await self._api.organizations()
        listed = await self._list(organizations, self._text(organizations, window.start))
        zones = {one.organization_id: self._zone(one) for one in organizations}
        rows = [
            row
            for row in listed.rows
            if (at := local_time(row, "whenCreated", _zone_of_row(row, zones))) is None
            or window.start <= at < window.end
        ]
        await self._add_guests(organizations, rows)
        for some, is_last in pages(rows, self._api.account.batch_size):
            yield Page([to_record(row) for row in some], None, problems=listed.problems if is_last else ())

    async def read(self, crm_id: str) -> RawRecord:
        """One order of the last week: this dialect has no other way to it. Raises NotFoundError."""
        organizations = await self._api.organizations()
        listed = await self._list(organizations, self._text(organizations, self._api.now - DEEP_LOOKBACK))
        for row in listed.rows:
            if str(row["id"]) == crm_id:
                await self._add_guests(organizations, [row])
                return to_record(row)
        raise NotFoundError("orders: iiko lists no such order in the last 7 days", status=404)

    def _lower(self, organizations: Sequence[Organization], state: State, now: datetime) -> str:
        since = self._api.account.since
        if state.watermark is None:
            return BEGINNING if since is None else self._text(organizations, since)
        lower = state.watermark - (DEEP_LOOKBACK if self._is_deep(state, now) else LOOKBACK)
        return self._text(organizations, lower if since is None else max(lower, since))

    @staticmethod
    def _is_deep(state: State, now: datetime) -> bool:
        return state.deep_at is None or now - state.deep_at >= DEEP_EVERY

    async def _list(self, organizations: Sequence[Organization], lower: str) -> Listed:
        answer = await self._api.post("/api/orders/list", {"dateFrom": lower})
        rows = answer.get("orders") if isinstance(answer, dict) else answer
        if not isinstance(rows, list):
            raise RetryError("iiko answers for its orders with something else")
        wanted = {None, *(one.organization_id for one in organizations)}
        return newest(row for row in rows if not isinstance(row, dict) or row.get("organizationId") in wanted)

    async def _add_guests(self, organizations: Sequence[Organization], rows: Sequence[dict[str, Any]]) -> None:
        await self._guests.add_to(rows, organizations[0].organization_id)

    def _text(self, organizations: Sequence[Organization], moment: datetime) -> str:
        """On the wall clock that is furthest behind."""
        return min(local_text(moment, self._zone(one)) for one in organizations)

    def _zone(self, organization: Organization) -> str:
        return zone_of(organization.row) or self._api.account.context.timezone


def _zone_of_row(row: dict[str, Any], zones: dict[str, str]) -> str:
    return zones.get(str(row.get("organizationId")), next(iter(zones.values())))
