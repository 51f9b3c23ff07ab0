"""Deliveries of iikoCloud: seeded by date, followed by revision.

The list by date reaches 7 days back and has no pages: it is asked for one organization and one day at a time, newest
first. The list by revision reaches 3 hours back. So each organization has its revision in the cursor, and the time at
which it was right: after a longer gap the organization is seeded anew. The revision that a seed ends with is the one
that its first answer told: what changed while it lasted is in the next list by revision.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from connectors.errors import NotFoundError, PermanentError
from connectors.iiko.api import Api, Organization
from connectors.iiko.guests import Guests
from connectors.iiko.listing import Listed, as_text, local_time, newest, pages, read_answer, to_record
from connectors.iiko.places import read_terminals, zones_of
from connectors.protocol import Cursor, Page, RawRecord, Window
from connectors.values.times import parse_time, zone

BY_DATE = "/api/1/deliveries/by_delivery_date_and_status"
BY_REVISION = "/api/1/deliveries/by_revision"
REACH = timedelta(days=7) - timedelta(hours=1)
"""How far the list by date reaches back, less what clocks and zones may differ."""
GAP = timedelta(hours=2, minutes=45)
"""How long a revision is good for: iiko's 3 hours, less the time that a pull takes."""
_DAY = timedelta(days=1)
_SKEW = timedelta(hours=2)
"""A wall-clock time may be an hour off where DST changes: windows are asked for wider, and cut here."""
_LAST_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Seed:
    """Where a seed of one organization stands."""

    organization_id: str
    revision: int
    at: datetime
    top: date
    """The newest day, with all that is to come; the others follow it backwards."""
    days: int = 0
    """How many are done."""
    after: str = ""
    """Greatest id of the day under way that has been given."""

    def as_json(self) -> dict[str, Any]:
        return {
            "organization": self.organization_id,
            "revision": self.revision,
            "at": as_text(self.at),
            "top": self.top.isoformat(),
            "days": self.days,
            "after": self.after,
        }


@dataclass(slots=True)
class State:
    """The cursor."""

    revisions: dict[str, tuple[int, datetime]]
    """By organization: the revision that is known, and when it was asked for."""
    seed: Seed | None

    def as_json(self) -> dict[str, Any]:
        known = {one: {"revision": number, "at": as_text(at)} for one, (number, at) in self.revisions.items()}
        return {"organizations": known, "seed": None if self.seed is None else self.seed.as_json()}

    @staticmethod
    def read(cursor: Cursor | None) -> State:
        """A cursor that is none of ours is worth nothing: everything is seeded, which adds nothing twice."""
        try:
            given = {} if cursor is None else cursor
            revisions = {
                str(one): (_whole(known["revision"]), parse_time(known["at"]))
                for one, known in given["organizations"].items()
            }
            seed = given["seed"]
            return State(
                revisions,
                None
                if seed is None
                else Seed(
                    str(seed["organization"]),
                    _whole(seed["revision"]),
                    parse_time(seed["at"]),
                    date.fromisoformat(seed["top"]),
                    _whole(seed["days"]),
                    str(seed["after"]),
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return State({}, None)


class Deliveries:
    """One pull."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._guests = Guests(api)
        self._zones: dict[str, tuple[dict[str, str], list[str]]] = {}

    async def changes(self, cursor: Cursor | None) -> AsyncIterator[Page]:
        """What changed since the cursor, organization by organization. Raises ConnectorError."""
        organizations = await self._api.organizations()
        state = State.read(cursor)
        under_way = None if state.seed is None else state.seed.organization_id
        if state.seed is not None and (
            self._api.now - state.seed.at > GAP or under_way not in {one.organization_id for one in organizations}
        ):
            state.seed = under_way = None
        for organization in sorted(organizations, key=lambda one: one.organization_id != under_way):
            known = state.revisions.get(organization.organization_id)
            if under_way == organization.organization_id or known is None or self._api.now - known[1] > GAP:
                answer = None
            else:
                answer = await self._changed(organization, known[0])
            reading = (
                self._seeded(organization, organizations, state)
                if answer is None
                else self._polled(organization, answer, state)
            )
            async for page in reading:
                yield page

    async def window(self, window: Window) -> AsyncIterator[Page]:
        """Deliveries whose date lies in the window. Raises PermanentError if iiko no longer lists them."""
        organizations = await self._api.organizations()
        for organization in organizations:
            by_terminal, zones = await self._zones_of(organization, organizations)
            oldest = self._oldest()
            if any(_wall_clock(window.start, one) < oldest for one in zones):
                raise PermanentError("iiko lists deliveries of the last 7 days only: choose a period that begins later")
            start = max(oldest, min(_wall_clock(window.start - _SKEW, one) for one in zones))
            end = max(_wall_clock(window.end + _SKEW, one) for one in zones)
            while start < end:
                until = min(start + _DAY, end)
                listed = await self._by_date(organization, start, until - _LAST_MOMENT)
                start = until
                rows = [
                    row
                    for row in listed.rows
                    if (at := local_time(row, "completeBefore", _zone(row, by_terminal, zones))) is None
                    or window.start <= at < window.end
                ]
                await self._guests.add_to(rows, organization.organization_id)
                for some, is_last in pages(rows, self._api.account.batch_size):
                    yield Page([to_record(row) for row in some], None, problems=listed.problems if is_last else ())

    async def _changed(self, organization: Organization, revision: int) -> Listed | None:
        """None: iiko does not reach back so far (any more), the organization is to be seeded."""
        body = {"startRevision": revision, "organizationIds": [organization.organization_id]}
        try:
            return read_answer(await self._api.post(BY_REVISION, body), organization.organization_id)
        except NotFoundError:
            raise
        except PermanentError as error:
            if error.status != 400:
                raise
            return None

    async def _polled(self, organization: Organization, listed: Listed, state: State) -> AsyncIterator[Page]:
        at = self._api.now
        await self._guests.add_to(listed.rows, organization.organization_id)
        for rows, is_last in pages(listed.rows, self._api.account.batch_size):
            if is_last:
                known, _ = state.revisions[organization.organization_id]
                state.revisions[organization.organization_id] = max(known, listed.revision or 0), at
            problems = listed.problems if is_last else ()
            yield Page([to_record(row) for row in rows], state.as_json(), problems=problems)

    async def _seeded(
        self, organization: Organization, organizations: list[Organization], state: State
    ) -> AsyncIterator[Page]:
        """Days backwards, each with its own place in the cursor."""
        by_terminal, zones = await self._zones_of(organization, organizations)
        since = self._api.account.since
        first = self._oldest()
        if since is not None:
            first = max(first, min(_wall_clock(since, one) for one in zones))
        seed, at = state.seed, self._api.now
        top = max(first, *(_wall_clock(at, one) for one in zones)).date() if seed is None else seed.top
        is_done = False
        while not is_done:
            day = top - (0 if seed is None else seed.days) * _DAY
            is_done = day <= first.date()
            start = max(first, datetime.combine(day, time()))
            end = None if day == top else datetime.combine(day + _DAY, time()) - _LAST_MOMENT
            listed = await self._by_date(organization, start, end)
            if seed is None:
                seed = Seed(organization.organization_id, listed.revision or 0, at, top)
            after = seed.after
            rows = [
                row
                for row in listed.rows
                if str(row["id"]) > after and not self._is_before(row, since, _zone(row, by_terminal, zones))
            ]
            await self._guests.add_to(rows, organization.organization_id)
            for some, is_last in pages(rows, self._api.account.batch_size):
                if not is_last:
                    state.seed = _at(seed, seed.days, str(some[-1]["id"]))
                elif is_done:
                    state.seed = None
                    state.revisions[organization.organization_id] = seed.revision, seed.at
                else:
                    seed = state.seed = _at(seed, seed.days + 1, "")
                problems = listed.problems if is_last else ()
                yield Page([to_record(row) for row in some], state.as_json(), problems=problems)

    def _oldest(self) -> datetime:
        """The earliest time that iiko still lists, whichever clock of the account's terminals it looks at."""
        zones = {one for _, of_organization in self._zones.values() for one in of_organization}
        return max(_wall_clock(self._api.now - REACH, one) for one in zones)

    async def _by_date(self, organization: Organization, start: datetime, end: datetime | None) -> Listed:
        """Deliveries between two times on the terminals' wall clocks, both included; none if these are crossed."""
        if end is not None and end < start:
            return Listed(revision=0)
        body: dict[str, Any] = {"organizationIds": [organization.organization_id], "deliveryDateFrom": _form(start)}
        if end is not None:
            body["deliveryDateTo"] = _form(end)
        return read_answer(await self._api.post(BY_DATE, body), organization.organization_id)

    async def _zones_of(
        self, organization: Organization, organizations: list[Organization]
    ) -> tuple[dict[str, str], list[str]]:
        if not self._zones:
            default = self._api.account.context.timezone
            terminals = await read_terminals(self._api, organizations)
            self._zones = {
                one.organization_id: zones_of(one, terminals[one.organization_id], default) for one in organizations
            }
        return self._zones[organization.organization_id]

    @staticmethod
    def _is_before(row: dict[str, Any], since: datetime | None, zone_name: str) -> bool:
        at = None if since is None else local_time(row, "completeBefore", zone_name)
        return since is not None and at is not None and at < since


async def read(api: Api, crm_id: str) -> RawRecord:
    """A delivery of any of the organizations, else a table's order. Raises NotFoundError."""
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", crm_id):
        raise NotFoundError("orders: an id of iiko is a GUID")
    organizations = [one.organization_id for one in await api.organizations()]
    questions: list[tuple[str, dict[str, Any]]] = [
        ("/api/1/deliveries/by_id", {"organizationId": one, "orderIds": [crm_id]}) for one in organizations
    ]
    questions.append(("/api/1/order/by_id", {"organizationIds": organizations, "orderIds": [crm_id]}))
    refusal: PermanentError | None = None
    for path, body in questions:
        try:
            answer = await api.post(path, body)
        except PermanentError as error:
            # Tills before 7.4.6 have no order/by_id. What one path refuses another may know.
            refusal = refusal if isinstance(error, NotFoundError) else error
            continue
        found = answer.get("orders") if isinstance(answer, dict) else None
        for row in newest(found if isinstance(found, list) else (), organization_id=body.get("organizationId")).rows:
            if str(row["id"]).lower() == crm_id.lower():
                await Guests(api).add_to([row], organizations[0])
                return to_record(row)
    if refusal is not None:
        raise refusal
    raise NotFoundError(f"orders: iiko has no {crm_id}", status=404)


def _zone(row: dict[str, Any], by_terminal: dict[str, str], zones: list[str]) -> str:
    order = row.get("order")
    return by_terminal.get(str(order.get("terminalGroupId")) if isinstance(order, dict) else "", zones[0])


def _at(seed: Seed, days: int, after: str) -> Seed:
    return Seed(seed.organization_id, seed.revision, seed.at, seed.top, days, after)


def _wall_clock(moment: datetime, zone_name: str) -> datetime:
    return moment.astimezone(zone(zone_name)).replace(tzinfo=None)


def _form(naive: datetime) -> str:
    return naive.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value
