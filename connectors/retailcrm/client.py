"""RetailCRM API v5: what changed by its histories, whole objects by their ids, dictionaries, days for backfills."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import msgspec

from connectors.errors import NotFoundError, RetryError
from connectors.http import HttpSession, encode_json
from connectors.protocol import Account, Cursor, Page, RawRecord, Window
from connectors.retailcrm import api, catalogue, history
from connectors.retailcrm.api import Row
from connectors.values.fields import ID_LENGTH
from connectors.values.times import parse_time, zone

EXTERNAL = "externalId:"
"""Before the shop's own number of an order or customer, where a webhook knows no other."""
STATUS_GROUP = "statusGroup"
"""Added to an order's text: the group of its status when it was read, which the order itself does not tell."""
_REMEMBERED = 200_000
"""Objects of one pull that are known to be read already."""
_MOST_LISTINGS = 3

_SUMS = ("ordersCount", "totalSumm", "averageSumm", "marginSumm", "avgMarginSumm", "costSumm", "maturationTime")
_OF_OTHERS = (*_SUMS, "segments")
"""What a customer has that comes from the orders."""
_VOLATILE = {"orders": ("expired", STATUS_GROUP), "customers": _OF_OTHERS, "offers": ("quantity",)}
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


@dataclass(frozen=True, slots=True)
class Resource:
    """Objects that have a history."""

    path: str
    many: str
    one: str
    created_from: str
    created_to: str


RESOURCES = {
    "orders": Resource("/orders", "orders", "order", "createdAtFrom", "createdAtTo"),
    "customers": Resource("/customers", "customers", "customer", "dateFrom", "dateTo"),
}
DICTIONARIES = {
    "statuses": ("/reference/statuses", "statuses"),
    "status_groups": ("/reference/status-groups", "statusGroups"),
    "sources": ("/reference/sites", "sites"),
}
STATUS_HISTORY = "order_history"
PLACES = "places"


async def pull(
    http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None
) -> AsyncIterator[Page]:
    """Pages of a stream, as `Connector.pull` says."""
    if stream in DICTIONARIES:
        path, key = DICTIONARIES[stream]
        rows = api.rows_of(await api.get(http, account, path), key)
        yield _page(stream, rows, "code")
    elif stream in catalogue.PATHS:
        async for rows, total in catalogue.pages(http, account, stream):
            problems = [f"{stream}: a row of the list has no id" for row in rows if type(row.get("id")) is not int]
            yield Page(
                [_record(stream, row, row["id"]) for row in rows if type(row.get("id")) is int], None, total, problems
            )
    elif stream == PLACES:
        answer = await api.get(http, account, "/settings")
        settings = answer.get("settings")
        body = encode_json(settings).decode()
        yield Page([RawRecord(stream, "account", body, _hash(settings))], None, 1)
    elif window is not None:
        pages = _history_window if stream == STATUS_HISTORY else _created_in
        async for page in pages(http, account, stream, window):
            yield page
    else:
        async for page in _pull_changes(http, account, stream, cursor):
            yield page


async def read(http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
    """One object, whole; by the shop's own number if `crm_id` begins with EXTERNAL. Raises NotFoundError."""
    if stream in catalogue.PATHS:
        return _record(stream, await catalogue.read(http, account, stream, crm_id), crm_id)
    resource = RESOURCES[stream]
    if crm_id.startswith(EXTERNAL):
        found = await by_external_id(http, account, resource, crm_id.removeprefix(EXTERNAL))
        if found is None:
            raise NotFoundError(f"{resource.path}: RetailCRM has no such externalId", status=404)
        row = found
    else:
        if not (crm_id.isascii() and crm_id.isdigit() and len(crm_id) < 19):
            raise NotFoundError(f"{stream}: an id of RetailCRM is a whole number")
        row = await by_id(http, account, resource, crm_id)
    return (await _records(http, account, stream, [row]))[0]


async def by_id(http: HttpSession, account: Account, resource: Resource, crm_id: str) -> Row:
    """By RetailCRM's own id. Raises NotFoundError."""
    given = (await api.get(http, account, f"{resource.path}/{crm_id}", [("by", "id")])).get(resource.one)
    if type(given) is not dict or str(given.get("id")) != crm_id:
        raise RetryError(f"{resource.path}: RetailCRM answers for {crm_id} with something else")
    return given


async def by_external_id(http: HttpSession, account: Account, resource: Resource, number: str) -> Row | None:
    """By a filter: a path could not hold each text that a shop calls its orders."""
    if not number.strip() or len(number) > ID_LENGTH:
        return None
    params = [("limit", api.PAGE_SIZES[0]), *api.site_filter(account), ("filter[externalIds][]", number)]
    rows = api.rows_of(await api.get(http, account, resource.path, params), resource.many)
    return next((row for row in rows if row.get("externalId") == number and type(row.get("id")) is int), None)


async def list_ids(http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
    """Ids of every order or customer, of the chosen site if there is one.

    Raises RetryError where a deletion may have hidden one: better no comparison than a wrong one.
    """
    resource = RESOURCES[stream]
    local = zone(await api.account_zone(http, account))
    now = http.last_response_date or datetime.now(UTC)
    start = _wall((now - timedelta(minutes=1)).astimezone(local))
    last_id, _ = await _walk_on(http, account, resource, 0, start)
    for _ in range(_MOST_LISTINGS):
        async for rows, _ in api.list_rows(
            http, account, resource.path, resource.many, api.site_filter(account), api.PAGE_SIZES[-1]
        ):
            yield [str(row["id"]) for row in rows if type(row.get("id")) is int]
        last_id, has_deleted = await _walk_on(http, account, resource, last_id, start)
        if not has_deleted:
            return
    raise RetryError(f"{resource.path}: each time their ids were listed, some were deleted meanwhile")


async def _walk_on(
    http: HttpSession, account: Account, resource: Resource, last_id: int, start: str
) -> tuple[int, bool]:
    """To the end of a history: (last id, whether something was deleted)."""
    has_deleted = False
    path = f"{resource.path}/history"
    async for page in history.walk(http, account, path, since_id=last_id, start_date=start, limit=api.PAGE_SIZES[-1]):
        for entry, _ in page.entries:
            last_id = entry["id"]
            has_deleted = has_deleted or entry.get("deleted") is True
    return last_id, has_deleted


async def _pull_changes(http: HttpSession, account: Account, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
    scope = _scope(account)
    since_id = history.read_cursor(cursor, scope)
    start = None
    if since_id == 0 and account.since is not None:
        local = zone(await api.account_zone(http, account))
        start = _wall(account.since.astimezone(local))
    resource = RESOURCES["orders" if stream == STATUS_HISTORY else stream]
    limit = api.page_size(account.batch_size)
    known: set[int] = set()
    path = f"{resource.path}/history"
    async for page in history.walk(http, account, path, since_id=since_id, start_date=start, limit=limit):
        if stream == STATUS_HISTORY:
            records = _status_changes(account, [entry for entry, _ in page.entries])
        else:
            changed, problems = _changed(account, resource, page.entries, known)
            page.problems += problems
            records = await _whole(http, account, stream, changed, known)
        cursor = history.write_cursor(page.settled_id, scope)
        # Entries are not objects: how many of these will come is not known.
        yield Page(records, cursor, page.total if stream == STATUS_HISTORY else None, page.problems)


def _changed(
    account: Account, resource: Resource, entries: Iterable[tuple[Row, bool]], known: set[int]
) -> tuple[dict[int, Row | None], list[str]]:
    """Ids to read, each with the entry that tells of its deletion, if one does. `known` were read after the walk began:
    whatever had changed before that is in them."""
    changed: dict[int, Row | None] = {}
    problems = []
    for entry, is_old in entries:
        stub = entry.get(resource.one)
        stub_id = stub.get("id") if type(stub) is dict else None
        if type(stub) is not dict or type(stub_id) is not int:
            problems.append(f"{resource.path}/history: entry {entry['id']} names no {resource.one}")
            continue
        if (is_old and stub_id in known) or not _is_chosen(account, resource, entry, stub):
            continue
        changed[stub_id] = entry if entry.get("deleted") is True else changed.get(stub_id)
        combined = entry.get("combinedTo")
        if type(combined) is dict and type(combined.get("id")) is int:
            changed.setdefault(combined["id"], None)
    return changed, problems


def _is_chosen(account: Account, resource: Resource, entry: Row, stub: Row) -> bool:
    """Whether the project's filters let an entry through: also one that takes an order out of the chosen statuses."""
    site = account.options.get("site")
    if site and stub.get("site") not in (None, site):
        return False
    statuses = account.options.get("statuses")
    if not statuses or resource.one != "order" or entry.get("deleted") is True:
        return True
    if entry.get("field") == "status":
        return not {_code(entry.get("oldValue")), _code(entry.get("newValue"))}.isdisjoint(statuses)
    return stub.get("status") is None or stub["status"] in statuses


def _code(value: Any) -> Any:
    return value.get("code") if type(value) is dict else value


async def _whole(
    http: HttpSession, account: Account, stream: str, changed: Mapping[int, Row | None], known: set[int]
) -> list[RawRecord]:
    """The objects of these ids; what is gone and was deleted, as the fact of its deletion."""
    resource = RESOURCES[stream]
    ids = list(changed)
    found: list[Row] = []
    for start in range(0, len(ids), api.PAGE_SIZES[-1]):
        some = ids[start : start + api.PAGE_SIZES[-1]]
        params: list[tuple[str, object]] = [("limit", api.size_for(len(some))), *api.site_filter(account)]
        params += [("filter[ids][]", crm_id) for crm_id in some]
        answer = await api.get(http, account, resource.path, params)
        rows = api.rows_of(answer, resource.many)
        if any(row.get("id") not in changed for row in rows):
            raise RetryError(f"{resource.path}: RetailCRM answers with objects that were not asked for")
        found += rows
    if len(known) < _REMEMBERED:
        known.update(row["id"] for row in found)
    records = await _records(http, account, stream, found)
    alive = {row["id"] for row in found}
    for crm_id, entry in changed.items():
        if entry is not None and crm_id not in alive:
            stone = {"id": crm_id, "deleted": True, "deletedAt": entry.get("createdAt"), "historyId": entry["id"]}
            records.append(RawRecord(stream, str(crm_id), encode_json(stone).decode(), _hash(stone)))
    return records


def _status_changes(account: Account, entries: Iterable[Row]) -> list[RawRecord]:
    """Entries that tell of a status, as they are."""
    return [
        RawRecord(STATUS_HISTORY, str(entry["id"]), encode_json(entry).decode(), _hash(entry))
        for entry in entries
        if entry.get("field") == "status"
        and type(entry.get("order")) is dict
        and _is_chosen(account, RESOURCES["orders"], entry, entry["order"])
    ]


async def _history_window(http: HttpSession, account: Account, stream: str, window: Window) -> AsyncIterator[Page]:
    """Status changes of a window. Ids and times ascend together, but for what is committed late."""
    local = zone(await api.account_zone(http, account))
    start = _wall(window.start.astimezone(local))
    limit = api.page_size(account.batch_size)
    async for page in history.walk(http, account, "/orders/history", since_id=0, start_date=start, limit=limit):
        entries = [entry for entry, _ in page.entries]
        times = [_time(entry.get("createdAt"), local) for entry in entries]
        inside = [
            entry
            for entry, at in zip(entries, times, strict=True)
            if at is not None and window.start <= at < window.end
        ]
        yield Page(_status_changes(account, inside), None, None, page.problems)
        read = [at for at in times if at is not None]
        if read and min(read) >= window.end + timedelta(hours=1):
            return


async def _created_in(http: HttpSession, account: Account, stream: str, window: Window) -> AsyncIterator[Page]:
    """Objects created in a window. The filter's grain is not documented: whole days are asked for, and what is outside
    is left out here."""
    resource = RESOURCES[stream]
    local = zone(await api.account_zone(http, account))
    end = window.end.astimezone(local)
    last = end.date() if (end.hour, end.minute, end.second, end.microsecond) == (0, 0, 0, 0) else _next_day(end)
    params: list[tuple[str, object]] = [
        (f"filter[{resource.created_from}]", window.start.astimezone(local).date().isoformat()),
        (f"filter[{resource.created_to}]", last.isoformat()),
        *api.site_filter(account),
    ]
    if stream == "orders":
        params += [("filter[extendedStatus][]", code) for code in account.options.get("statuses") or ()]
    limit = api.page_size(account.batch_size)
    async for rows, total in api.list_rows(http, account, resource.path, resource.many, params, limit):
        chosen = [row for row in rows if _is_in(window, row, local) and _passes(account, stream, row)]
        problems = [f"{resource.path}: a row of the list has no id" for row in rows if type(row.get("id")) is not int]
        yield Page(await _records(http, account, stream, chosen), None, total, problems)


def _is_in(window: Window, row: Row, local: tzinfo) -> bool:
    at = _time(row.get("createdAt"), local)
    return type(row.get("id")) is int and (at is None or window.start <= at < window.end)


def _passes(account: Account, stream: str, row: Row) -> bool:
    """A filter that the account ignores is applied here."""
    site, statuses = account.options.get("site"), account.options.get("statuses")
    if site and row.get("site") not in (None, site):
        return False
    return stream != "orders" or not statuses or row.get("status") in statuses


async def _records(http: HttpSession, account: Account, stream: str, rows: Sequence[Row]) -> list[RawRecord]:
    """Records of objects, orders with the group of their status."""
    if stream == "orders" and rows:
        needed = {row["status"] for row in rows if type(row.get("status")) is str}
        groups = await api.status_groups(http, account, needed)
        for row in rows:
            row[STATUS_GROUP] = groups.get(row.get("status", "")) or None
    return [_record(stream, row, row["id"]) for row in rows]


def _page(stream: str, rows: Sequence[Row], name: str) -> Page:
    usable = [row for row in rows if type(row.get(name)) is str and 0 < len(row[name]) <= ID_LENGTH]
    problems = [f"{stream}: an entry of the dictionary has no {name}"] * (len(rows) - len(usable))
    return Page([_record(stream, row, row[name]) for row in usable], None, len(rows), problems)


def _record(stream: str, row: Row, crm_id: object) -> RawRecord:
    return RawRecord(stream, str(crm_id), encode_json(row).decode(), _hash(_lasting(stream, row)))


def _lasting(stream: str, row: Row) -> Row:
    """What of an object changes only when somebody changes it."""
    if stream not in _VOLATILE:
        return row
    lasting = _without(row, _VOLATILE[stream])
    for name in ("customer", "contact"):
        if type(person := lasting.get(name)) is dict:
            lasting[name] = _without(person, _OF_OTHERS)
    if type(items := lasting.get("items")) is list:
        lasting["items"] = [_lasting_item(item) for item in items]
    return lasting


def _lasting_item(item: Any) -> Any:
    if type(item) is not dict or type(offer := item.get("offer")) is not dict:
        return item
    return {**item, "offer": _without(offer, ("quantity",))}


def _without(row: Row, names: Sequence[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def _hash(value: Any) -> bytes:
    return hashlib.sha256(_canonical.encode(value)).digest()


def _scope(account: Account) -> str:
    """Names the filters that a cursor was read with: with others the history says something else."""
    statuses = ",".join(sorted(account.options.get("statuses") or ()))
    return f"{account.options.get('site') or ''}|{statuses}" if account.options.get("site") or statuses else ""


def _wall(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _next_day(moment: datetime) -> date:
    return moment.date() + timedelta(days=1)


def _time(value: Any, local: tzinfo) -> datetime | None:
    try:
        return parse_time(value, local) if type(value) is str else None
    except ValueError:
        return None
