"""KeyCRM Open API: pulls lists, reads single objects, tries the key."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.errors import ConfigError, ConnectorError, NotFoundError, RetryError
from connectors.http import HttpSession
from connectors.keycrm.paging import MOST_PER_PAGE, SKEW, Listing, Position, read_pages, to_record
from connectors.protocol import OVERLAP, Account, Cursor, Health, Page, RawRecord, Window
from connectors.values.times import parse_time

BASE_URL = "https://openapi.keycrm.app/v1"
RATE_LIMIT = (60, 60.0)
FAR_FUTURE = "2037-12-31 23:59:59"
"""As good as no upper end; MySQL's TIMESTAMP goes no further than January 2038."""
ORDER_INCLUDE = "buyer,products.offer,manager,marketing,payments,shipping"


@dataclass(frozen=True, slots=True)
class Resource:
    path: str
    include: str | None = None
    is_sorted: bool = False
    """`sort` is documented for it; elsewhere the API may refuse it."""
    changed: str | None = None
    """Filter by time of change."""
    created: str | None = None
    """Filter for backfills."""
    id_filter: str | None = None
    """Filter that reads one object where there is no path for it."""


RESOURCES = {
    "statuses": Resource("/order/status", is_sorted=True),
    "sources": Resource("/order/source", is_sorted=True),
    "orders": Resource("/order", ORDER_INCLUDE, True, "updated_between", "created_between"),
    "customers": Resource("/buyer", None, False, "updated_between", "created_between"),
    "products": Resource("/products"),
    "offers": Resource("/offers", id_filter="id"),
    "stocks": Resource("/offers/stocks", id_filter="offers_id"),
}


async def pull(
    http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None
) -> AsyncIterator[Page]:
    """Pages of a stream, as `Connector.pull` says."""
    resource = RESOURCES[stream]
    listing = Listing(
        stream=stream,
        path=resource.path,
        params=_fixed_params(account, stream, resource),
        headers=headers(account),
        limit=max(1, min(account.batch_size, MOST_PER_PAGE)),
        is_ascending=resource.is_sorted,
    )
    if window is not None and resource.created is not None:
        listing.params[f"filter[{resource.created}]"] = f"{_floor(window.start)},{_ceil(window.end)}"
        listing.skip = _outside(window, "ordered_at" if stream == "orders" else "created_at")
    elif resource.changed is not None:
        async for page in _pull_changes(http, account, listing, resource.changed, cursor):
            yield page
        return
    async for read in read_pages(http, listing):
        yield Page(read.records, None, read.total, read.problems)


async def list_ids(http: HttpSession, account: Account, stream: str) -> AsyncIterator[list[str]]:
    """Ids of what a pull would bring, without what belongs to each: deletions are seen in no other way."""
    resource = RESOURCES[stream]
    listing = Listing(
        stream=stream,
        path=resource.path,
        params=_fixed_params(account, stream, resource, has_include=False),
        headers=headers(account),
        limit=MOST_PER_PAGE,
        is_ascending=resource.is_sorted,
    )
    if account.since is not None and resource.changed is not None:
        listing.params[f"filter[{resource.changed}]"] = f"{_floor(account.since)},{FAR_FUTURE}"
    async for page in read_pages(http, listing):
        yield [record.crm_id for record in page.records]


async def read(http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
    """One object, whole. Raises NotFoundError."""
    resource = RESOURCES[stream]
    if not re.fullmatch(r"[0-9]{1,18}", crm_id):
        raise NotFoundError(f"{stream}: an id of KeyCRM is a whole number")
    params = _fixed_params(account, stream, resource, is_single=True)
    if resource.id_filter is None:
        row = await http.request_json("GET", f"{resource.path}/{crm_id}", params=params, headers=headers(account))
    else:
        params |= {f"filter[{resource.id_filter}]": crm_id, "limit": MOST_PER_PAGE}
        answer = await http.request_json("GET", resource.path, params=params, headers=headers(account))
        rows = answer.get("data") if isinstance(answer, dict) else None
        # A filter that the API does not know is ignored, and the first rows of everything come back.
        row = next((r for r in rows or () if isinstance(r, dict) and str(r.get("id")) == crm_id), None)
        if row is None:
            raise NotFoundError(f"{stream}: KeyCRM has no {crm_id}", status=404)
    if not isinstance(row, dict) or str(row.get("id")) != crm_id:
        raise RetryError(f"{stream}: KeyCRM answers for {crm_id} with something else")
    return to_record(stream, row)


async def check_health(http: HttpSession, account: Account) -> Health:
    """Try the key with the cheapest call there is."""
    try:
        answer = await http.request_json("GET", "/users", params={"limit": 1}, headers=headers(account))
    except ConfigError as error:
        if error.status == 401:
            return Health(False, "KeyCRM refuses the credential api_key; copy the key anew from the settings of KeyCRM")
        return Health(False, error.message)
    except NotFoundError:
        return Health(False, f"There is no KeyCRM API at this base_url; it should be {BASE_URL}")
    except ConnectorError as error:
        return Health(False, error.message)
    total = answer.get("total") if isinstance(answer, dict) else None
    if not isinstance(total, int):
        return Health(False, f"The answer is not KeyCRM's; base_url should be {BASE_URL}")
    return Health(True, f"KeyCRM accepts the key; the account has {total} user{'' if total == 1 else 's'}")


async def _pull_changes(
    http: HttpSession, account: Account, listing: Listing, filter_name: str, cursor: Cursor | None
) -> AsyncIterator[Page]:
    """What changed since the cursor. During the pull a cursor holds its place; the last one holds the watermark."""
    scope = str(listing.params.get("filter[source_id]", ""))
    watermark, lower, position = _read_cursor(cursor, scope)
    if position is None:
        position = Position()
        lower = None if watermark is None else watermark - OVERLAP
        if account.since is not None:
            lower = account.since if lower is None else max(lower, account.since)
    listing.position = position
    if lower is not None:
        listing.params[f"filter[{filter_name}]"] = f"{_floor(lower)},{FAR_FUTURE}"
    base = {"scope": scope, "watermark": _iso(watermark)}
    async for read in read_pages(http, listing):
        state: dict[str, Any]
        if read.is_last:
            state = {**base, "watermark": _iso(_next_watermark(watermark, position))}
        else:
            state = {**base, "lower": _iso(lower), "pull": position.as_json()}
        yield Page(read.records, state, read.total, read.problems)


def _next_watermark(watermark: datetime | None, position: Position) -> datetime | None:
    """What a pull has seen up to, and never beyond its own start: what changed meanwhile may have been passed by."""
    if position.newest is None or position.started is None:
        return watermark
    reached = min(position.newest, position.started - SKEW)
    return reached if watermark is None else max(watermark, reached)


def _read_cursor(cursor: Cursor | None, scope: str) -> tuple[datetime | None, datetime | None, Position | None]:
    """(watermark, lower end, position of a pull under way). A cursor that is none of ours, or of another source filter,
    is worth nothing: everything is read again, which adds nothing twice."""
    if cursor is None or cursor.get("scope") != scope:
        return None, None, None
    try:
        watermark = _time(cursor.get("watermark"))
        pull = cursor.get("pull")
        return watermark, _time(cursor.get("lower")), None if pull is None else Position.from_json(pull)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None, None, None


def _fixed_params(
    account: Account, stream: str, resource: Resource, *, is_single: bool = False, has_include: bool = True
) -> dict[str, object]:
    params: dict[str, object] = {}
    if resource.include is not None and has_include:
        params["include"] = resource.include
    if not is_single:
        if resource.is_sorted:
            params["sort"] = "id"
        if stream == "orders" and account.options.get("source_id") is not None:
            params["filter[source_id]"] = account.options["source_id"]
    return params


def headers(account: Account) -> dict[str, str]:
    """What opens the account. Raises ConfigError."""
    key = account.credentials.get("api_key", "").strip()
    if not key:
        raise ConfigError("the credential api_key is not set")
    if not key.isascii() or not key.isprintable():
        raise ConfigError("the credential api_key has characters that no key has")
    return {"Authorization": f"Bearer {key}"}


def _outside(window: Window, name: str) -> Any:
    """Tells rows that are in the filter's whole seconds and not in the window. The filter includes both its ends."""
    slack_start, slack_end = window.start.replace(microsecond=0), window.end + timedelta(seconds=1)

    def is_outside(row: dict[str, Any]) -> bool:
        value = row.get(name)
        try:
            moment = parse_time(value) if isinstance(value, str) else None
        except ValueError:
            return False
        return moment is not None and (slack_start <= moment < window.start or window.end <= moment <= slack_end)

    return is_outside


def _floor(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _ceil(moment: datetime) -> str:
    return _floor(moment + timedelta(microseconds=999_999))


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _time(value: Any) -> datetime | None:
    return None if value is None else parse_time(value)
