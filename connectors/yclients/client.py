"""YCLIENTS REST API: pulls lists, reads single objects, lists ids, tries the tokens."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import msgspec

from connectors.errors import ConfigError, ConnectorError, NotFoundError, RetryError
from connectors.http import HttpSession
from connectors.protocol import Account, Cursor, Health, Page, RawRecord, Window
from connectors.values import times
from connectors.values.times import parse_time
from connectors.yclients.api import BASE_URL, call_object, call_rows, company_of
from connectors.yclients.paging import Position, read_pages, to_record
from connectors.yclients.places import read_zone

LOOKBACK = timedelta(minutes=10)
SKEW = timedelta(seconds=30)
"""The vendor's servers need not agree on the time."""


@dataclass(frozen=True, slots=True)
class Resource:
    path: str
    one: str
    """Path of a single object."""
    most: int
    """Rows a page at most."""
    params: Mapping[str, object] = field(default_factory=dict)
    has_windows: bool = False


RESOURCES = {
    # Without with_deleted a deletion could not be told from a record that never was.
    "records": Resource("/records/{}", "/record/{}/{}", 300, {"with_deleted": 1}, has_windows=True),
    "transactions": Resource("/transactions/{}", "/finance_transactions/{}/{}", 300, has_windows=True),
    "customers": Resource("/clients/{}", "/client/{}/{}", 200),
}


@dataclass(frozen=True, slots=True)
class _Listing:
    """A list of the account; filters are added to `params`."""

    http: HttpSession
    account: Account
    path: str
    limit: int
    params: dict[str, object]

    async def ask(self, page: int, count: int) -> Sequence[msgspec.Raw]:
        params = {**self.params, "page": page, "count": count}
        return await call_rows(self.http, self.account, "GET", self.path, params=params)


def _listing(http: HttpSession, account: Account, stream: str) -> _Listing:
    resource = RESOURCES[stream]
    limit = max(2, min(account.batch_size, resource.most))
    return _Listing(http, account, resource.path.format(company_of(account)), limit, dict(resource.params))


async def pull(
    http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None
) -> AsyncIterator[Page]:
    """Pages of a stream, as `Connector.pull` says."""
    if stream == "places":
        yield Page([await _company(http, account)], None)
        return
    company, listing = company_of(account), _listing(http, account, stream)
    zone = await company_zone(http, account)
    if window is not None and RESOURCES[stream].has_windows:
        listing.params.update(_days(window, zone))
        async for read in read_pages(stream, listing.ask, Position(listing.limit), _outside(window, zone)):
            yield Page(read.records, None, None, read.problems)
        return
    watermark, lower, position = _read_cursor(cursor, company)
    if position is None:
        position = Position(listing.limit)
        lower = None if watermark is None else watermark - LOOKBACK
        if account.since is not None:
            lower = account.since if lower is None else max(lower, account.since)
    if lower is not None:
        listing.params["changed_after"] = local_text(lower, zone)
    base = {"company": company, "watermark": _iso(watermark)}
    async for read in read_pages(stream, listing.ask, position):
        if position.started is None:
            position.started = http.last_response_date or datetime.now(UTC) - timedelta(minutes=2)
        state: dict[str, Any]
        if read.is_last:
            state = {**base, "watermark": _iso(_next_watermark(watermark, position))}
        else:
            state = {**base, "lower": _iso(lower), "pull": position.as_json()}
        yield Page(read.records, state, None, read.problems)


async def read(http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
    """One object, whole. Raises NotFoundError."""
    if not re.fullmatch(r"[0-9]{1,18}", crm_id):
        raise NotFoundError(f"{stream}: an id of YCLIENTS is a whole number")
    path = f"/company/{crm_id}/" if stream == "places" else RESOURCES[stream].one.format(company_of(account), crm_id)
    row, raw = await call_object(http, account, "GET", path)
    if str(row.get("id")) != crm_id:
        raise RetryError(f"{stream}: YCLIENTS answers for {crm_id} with something else")
    return to_record(stream, row, raw)


async def list_ids(http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
    """Ids of what a full pull would bring, records marked as deleted among them. Raises ConnectorError."""
    # An empty list is what some calls say of a company that they do not know: that it is there, is asked first.
    zone = zone_of(await _company_row(http, account), account)
    listing = _listing(http, account, stream)
    if account.since is not None:
        listing.params["changed_after"] = local_text(account.since, zone)
    async for page in read_pages(stream, listing.ask, Position(listing.limit)):
        if page.problems:
            # Whoever is missing from the list counts as gone.
            raise RetryError(page.problems[0])
        yield [record.crm_id for record in page.records]


async def company_zone(http: HttpSession, account: Account) -> tzinfo:
    """The zone that the company's local times are in: as it is known here already, else as YCLIENTS tells."""
    known = account.context.places.get(company_of(account))
    if known is not None and known.timezone is not None:
        return times.zone(known.timezone)
    return zone_of(await _company_row(http, account), account)


def zone_of(company: tuple[dict[str, Any], bytes], account: Account) -> tzinfo:
    """The zone that a company's answer tells, else the project's."""
    return times.zone(read_zone(company[0]) or account.context.timezone_of(company_of(account)))


def local_text(moment: datetime, zone: tzinfo) -> str:
    """The lower end of a filter by change. It takes no offset, and which zone it is read in is told nowhere: the text
    is that of the company's zone or of UTC, whichever is earlier, and so never too late."""
    return min(moment.astimezone(other).strftime("%Y-%m-%dT%H:%M:%S") for other in (zone, UTC))


async def check_health(http: HttpSession, account: Account) -> Health:
    """Try the partner's token alone, then both."""
    try:
        company = company_of(account)
        try:
            row, _ = await call_object(http, account, "GET", f"/company/{company}/", is_partner_only=True)
        except ConfigError as error:
            if error.status == 401:
                return Health(False, "YCLIENTS refuses partner_token; copy the token anew from the developer's account")
            raise
        except NotFoundError:
            return Health(
                False, f"YCLIENTS has no company {company}: check options.company_id; base_url should be {BASE_URL}"
            )
        try:
            await call_rows(http, account, "GET", f"/records/{company}", params={"page": 1, "count": 1})
        except ConfigError as error:
            if error.status == 401:
                return Health(
                    False,
                    "YCLIENTS refuses user_token; it ends when the user changes the password, get a new one for it",
                )
            raise
    except ConnectorError as error:
        return Health(False, error.message)
    title = row.get("title")
    return Health(True, f"YCLIENTS accepts both tokens; the company is {title or company}")


async def _company(http: HttpSession, account: Account) -> RawRecord:
    row, raw = await _company_row(http, account)
    return to_record("places", row, raw)


async def _company_row(http: HttpSession, account: Account) -> tuple[dict[str, Any], bytes]:
    """Raises ConfigError where there is no such company."""
    company = company_of(account)
    try:
        row, raw = await call_object(http, account, "GET", f"/company/{company}/")
    except NotFoundError as error:
        raise ConfigError(
            f"YCLIENTS has no company {company}: check options.company_id and base_url", status=error.status
        ) from None
    if str(row.get("id")) != company:
        raise RetryError(f"YCLIENTS answers for company {company} with something else")
    return row, raw


def _days(window: Window, zone: tzinfo) -> dict[str, object]:
    """The local days that a window touches; the filter has no finer grain, and includes both."""
    last = window.end - timedelta(microseconds=1)
    return {
        "start_date": window.start.astimezone(zone).strftime("%Y-%m-%d"),
        "end_date": last.astimezone(zone).strftime("%Y-%m-%d"),
    }


def _outside(window: Window, zone: tzinfo) -> Callable[[dict[str, Any]], bool]:
    """Tells rows of the window's days that are not in the window. What has no time is kept."""

    def is_outside(row: dict[str, Any]) -> bool:
        value = row.get("date")
        try:
            moment = parse_time(value, zone) if isinstance(value, str) else None
        except ValueError:
            return False
        return moment is not None and not window.start <= moment < window.end

    return is_outside


def _next_watermark(watermark: datetime | None, position: Position) -> datetime | None:
    """What a pull has seen up to, and never beyond its own start: what changed meanwhile may have been passed by."""
    if position.newest is None or position.started is None:
        return watermark
    reached = min(position.newest, position.started - SKEW)
    return reached if watermark is None else max(watermark, reached)


def _read_cursor(cursor: Cursor | None, company: str) -> tuple[datetime | None, datetime | None, Position | None]:
    """(watermark, lower end, position of a pull under way). A cursor that is none of ours, or of another company, is
    worth nothing: everything is read again, which adds nothing twice."""
    if cursor is None or cursor.get("company") != company:
        return None, None, None
    try:
        pull = cursor.get("pull")
        position = None if pull is None else Position.from_json(pull)
        return _time(cursor.get("watermark")), _time(cursor.get("lower")), position
    except (KeyError, TypeError, ValueError, AttributeError):
        return None, None, None


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _time(value: Any) -> datetime | None:
    return None if value is None else parse_time(value)
