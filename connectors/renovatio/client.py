"""Renovatio's API: pulls visits by periods, finds single ones, lists their ids, tries the key.

A visit is known here by a hash, and the API finds visits by number alone. So a single one is looked for among those
that changed lately, then in all there are.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.errors import ConfigError, ConnectorError, NotFoundError
from connectors.http import HttpSession
from connectors.protocol import Account, Cursor, Health, Page, RawRecord, Window
from connectors.renovatio.calls import ask, call, note_refused, server_time
from connectors.renovatio.periods import History, Period, cut
from connectors.renovatio.privacy import PLACES, VISITS, Hasher, Rows, to_record
from connectors.renovatio.reader import BY_CHANGE, BY_VISIT, VisitReader, clinics_of
from connectors.values.times import parse_time

BASE_URL = "https://app.rnova.org/api/public"
RATE_LIMIT = (10, 1.0)
OVERLAP = timedelta(days=2)
"""How far a pull reaches back: the API has minutes and no seconds, and clinics of one account may differ in zone."""
AHEAD = timedelta(days=1)
"""How far a period goes beyond now, for the same reasons."""
BOOKED_AHEAD = timedelta(days=372)
"""How far ahead a visit may be booked."""
_HASH = re.compile(r"[0-9a-f]{64}")


async def pull(
    http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None
) -> AsyncIterator[Page]:
    """Pages of a stream, as `Connector.pull` says; a page of visits is a period."""
    if stream == PLACES:
        pages = _pull_places(http, account)
    else:
        reader = VisitReader(http, account)
        state = _State.read(cursor, ",".join(sorted(clinics_of(account))), Hasher(account.credentials.get("salt")))
        if window is not None:
            pages = _pull_window(reader, window)
        elif state.watermark is None:
            pages = _pull_history(reader, state, await server_time(http, account) or datetime.now(UTC), account.since)
        else:
            pages = _pull_changes(reader, state, state.watermark)
    async for page in pages:
        yield page


async def read(http: HttpSession, account: Account, crm_id: str) -> RawRecord:
    """One visit by its hash. Raises NotFoundError once all visits there are have been looked through."""
    if not _HASH.fullmatch(crm_id):
        raise NotFoundError("a visit is known by its hash, 64 hexadecimal digits")
    reader = VisitReader(http, account)
    now = reader.local(reader.now)
    lately = await reader.read(Period(now - OVERLAP, now + AHEAD), BY_CHANGE)
    for row in lately.records:
        if row["id"] == crm_id:
            return to_record(VISITS, row)
    async for rows in _all(reader, None):
        for row in rows.records:
            if row["id"] == crm_id:
                return to_record(VISITS, row)
    raise NotFoundError("Renovatio has no visit of this hash", status=404)


async def list_ids(http: HttpSession, account: Account) -> AsyncIterator[Sequence[str]]:
    """The hashed ids of every visit since the account's `since`, period by period."""
    reader = VisitReader(http, account)
    reader.now = await server_time(http, account) or reader.now
    earliest = None if account.since is None else reader.local(account.since) - AHEAD
    async for rows in _all(reader, earliest):
        yield [row["id"] for row in rows.records if reader.is_wanted(row)]


async def check_health(http: HttpSession, account: Account) -> Health:
    """Try the salt, the key, the right to read visits, and the clinics that the settings name."""
    titles: tuple[str, ...] = ()
    known: set[str] | None = None
    try:
        try:
            answered, _ = await ask(http, account, "getClinics", PLACES)
            titles, known = answered.titles, {row["id"] for row in answered.rows.records}
        except ConfigError as error:
            if error.status != 403:
                raise
            note_refused("getClinics")
        now = VisitReader(http, account)
        moment = now.local(now.now)
        await call(http, account, "getAppointments", VISITS, Period(moment, moment).params(BY_VISIT))
    except ConfigError as error:
        if error.status == 401:
            return Health(
                False, "Renovatio refuses the credential api_key; get the key anew from the clinic's administrator"
            )
        if error.status == 403:
            return Health(
                False, "The credential api_key may not call getAppointments: ask the clinic's administrator for it"
            )
        return Health(False, error.message)
    except ConnectorError as error:
        return Health(False, error.message)
    if known is not None and (strange := [clinic for clinic in clinics_of(account) if clinic not in known]):
        return Health(False, f"The option clinic_ids names {strange[0]}, which the account does not have")
    if known is None:
        return Health(True, "Renovatio accepts the key, which may read visits but not the list of clinics")
    shown = ", ".join(titles[:3]) + (" and others" if len(titles) > 3 else "")
    return Health(True, f"Renovatio accepts the key; {_counted(len(known))}{f': {shown}' if shown else ''}")


@dataclass(frozen=True, slots=True)
class _State:
    """What a cursor says. One that is none of ours, or of other clinics, says nothing: all is read again, which adds
    nothing twice."""

    scope: str
    salt: str
    """Fingerprint of the salt."""
    watermark: datetime | None = None
    """All that changed before it has been read."""
    started: datetime | None = None
    """When the pull under way began, by the server's clock: its watermark to be."""
    history: History | None = None
    next: datetime | None = None
    """Wall clock: from where a pull of changes that was interrupted goes on."""

    @staticmethod
    def read(cursor: Cursor | None, scope: str, hasher: Hasher) -> _State:
        """Raises ConfigError if the cursor was made with another salt."""
        salt = hasher.fingerprint
        if cursor is not None and cursor.get("salt", salt) != salt:
            raise ConfigError(
                "the credential salt is not the one that this project began with, and each visit would count twice: "
                "put the old one back, or give the account a project of its own"
            )
        if cursor is None or cursor.get("scope") != scope:
            return _State(scope, salt)
        try:
            watermark, started = _moment(cursor.get("watermark")), _moment(cursor.get("started"))
            history, following = cursor.get("history"), cursor.get("next")
            return _State(
                scope,
                salt,
                watermark,
                started,
                None if history is None else History.from_json(history),
                None if following is None else datetime.fromisoformat(following).replace(tzinfo=None),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return _State(scope, salt)

    def cursor(self, **values: Any) -> Cursor:
        base = {"scope": self.scope, "salt": self.salt, "watermark": _iso(self.watermark)}
        return {**base, **{name: value for name, value in values.items() if value is not None}}


async def _pull_places(http: HttpSession, account: Account) -> AsyncIterator[Page]:
    try:
        rows, _ = await call(http, account, "getClinics", PLACES)
    except ConfigError as error:
        if error.status != 403:
            raise
        note_refused("getClinics")
        rows = Rows()
    yield Page([to_record(PLACES, row) for row in rows.records], None, None, rows.problems)


async def _pull_window(reader: VisitReader, window: Window) -> AsyncIterator[Page]:
    # A day more at both ends: the window is of instants, the API's times are each clinic's own.
    start, end = reader.local(window.start) - AHEAD, reader.local(window.end) + AHEAD
    async for rows in _between(reader, start, end):
        records = [to_record(VISITS, row) for row in rows.records if reader.is_wanted(row, window)]
        yield Page(records, None, None, rows.problems)


async def _pull_history(
    reader: VisitReader, state: _State, now: datetime, since: datetime | None
) -> AsyncIterator[Page]:
    """The first pull: from now back, so that what people ask for first comes first; at last what is booked."""
    started = state.started or now
    history = state.history or History(reader.local(started) + AHEAD, reader.local(started))
    reader.width = history.width
    earliest = None if since is None else reader.local(since) - AHEAD
    while (period := history.next(earliest)) is not None:
        rows = await reader.read(period, BY_VISIT)
        history.width = reader.width
        history.step(period, bool(rows.records))
        yield _page(reader, rows, state.cursor(started=_iso(started), history=history.as_json()))
    booked = reader.local(started) + BOOKED_AHEAD
    async for rows in _between(reader, reader.local(started) + AHEAD, booked):
        yield _page(reader, rows, state.cursor(started=_iso(started), history=history.as_json()))
    yield Page([], state.cursor(watermark=_iso(started)))


async def _pull_changes(reader: VisitReader, state: _State, watermark: datetime) -> AsyncIterator[Page]:
    """Every later pull: what changed since the watermark, oldest first, until the server's own now."""
    start = state.next or reader.local(watermark - OVERLAP)
    started = state.started
    is_last = False
    while not is_last:
        period = Period(start, start + reader.width)
        rows = await reader.read(period, BY_CHANGE)
        started = started or reader.now
        start = period.end
        is_last = start >= reader.local(reader.now) + AHEAD
        if is_last:
            yield _page(reader, rows, state.cursor(watermark=_iso(max(watermark, started))))
        else:
            yield _page(reader, rows, state.cursor(started=_iso(started), next=start.isoformat()))


async def _all(reader: VisitReader, earliest: datetime | None) -> AsyncIterator[Rows]:
    """Every visit there is: the past first, then what is booked."""
    now = reader.local(reader.now)
    history = History(now + AHEAD, now)
    while (period := history.next(earliest)) is not None:
        rows = await reader.read(period, BY_VISIT)
        history.width = reader.width
        history.step(period, bool(rows.records))
        yield rows
    async for rows in _between(reader, now + AHEAD, now + BOOKED_AHEAD):
        yield rows


async def _between(reader: VisitReader, start: datetime, end: datetime) -> AsyncIterator[Rows]:
    for period in cut(start, end, reader.width):
        yield await reader.read(period, BY_VISIT)


def _page(reader: VisitReader, rows: Rows, cursor: Cursor) -> Page:
    records = [to_record(VISITS, row) for row in rows.records if reader.is_wanted(row)]
    return Page(records, cursor, None, rows.problems)


def _counted(clinics: int) -> str:
    return f"the account has {clinics} clinic{'' if clinics == 1 else 's'}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(value: Any) -> datetime | None:
    return None if value is None else parse_time(value)
