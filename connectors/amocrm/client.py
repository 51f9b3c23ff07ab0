"""amoCRM API v4: pulls lists, reads single objects, lists ids, tries the token, registers the webhook."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

from connectors.amocrm import related
from connectors.amocrm.api import MOST_PER_PAGE, Api
from connectors.amocrm.paging import (
    FiltersIgnoredError,
    Listing,
    Place,
    Read,
    Row,
    changes,
    row_id,
    row_time,
    walk,
)
from connectors.amocrm.paging import Window as Seconds
from connectors.errors import ConfigError, NotFoundError, RetryError
from connectors.http import HttpSession, encode_json
from connectors.protocol import Account, Cursor, Page, RawRecord, Window

RATE_LIMIT = (7, 1.0)
OVERLAP = timedelta(minutes=10)
"""How far a pull reaches back: changes appear in amoCRM's lists late."""
DELETED = ("lead_deleted", "lead_restored", "contact_deleted", "contact_restored")

_log = structlog.get_logger(__name__)
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


@dataclass(frozen=True, slots=True)
class Resource:
    path: str
    key: str
    params: tuple[tuple[str, object], ...] = ()


RESOURCES = {
    "orders": Resource("/leads", "leads", (("with", "contacts,source_id"),)),
    "customers": Resource("/contacts", "contacts"),
}


async def pull(
    http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None
) -> AsyncIterator[Page]:
    """Pages of a stream, as `Connector.pull` says."""
    api = Api(http, account)
    if stream == "account":
        answer = await api.get("/account", [("with", "datetime_settings,is_api_filter_enabled")])
        yield Page([to_record(stream, _object(answer.value, "/account"))], None)
    elif stream == "statuses":
        listed = await api.page("/leads/pipelines", "pipelines", (), 1, MOST_PER_PAGE)
        yield Page([to_record(stream, row) for row in listed.rows if _has_id(row)], None, len(listed.rows))
    elif stream == "deletions":
        async for page in _pull_deletions(api, cursor, window):
            yield page
    elif window is not None:
        async for page in _pull_window(api, stream, window):
            yield page
    else:
        async for page in _pull_changes(api, stream, cursor):
            yield page


async def read(http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
    """One lead or contact, whole. Raises NotFoundError."""
    resource = RESOURCES[stream]
    if not re.fullmatch(r"[0-9]{1,18}", crm_id):
        raise NotFoundError(f"{stream}: an id of amoCRM is a whole number")
    api = Api(http, account)
    answer = await api.get(f"{resource.path}/{crm_id}", resource.params)
    if answer.value is None:
        raise NotFoundError(f"{stream}: amoCRM has no {crm_id}", status=404)
    row = _object(answer.value, resource.path)
    if row_id(row) != crm_id:
        raise RetryError(f"{stream}: amoCRM answers for {crm_id} with something else")
    if stream == "orders":
        if not _is_in_pipelines(account, row):
            raise NotFoundError(
                f"{stream}: {crm_id} is in a pipeline that options.pipeline_ids does not name", status=404
            )
        await related.complete(api, [row])
    return to_record(stream, row)


async def list_ids(http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
    """Ids of all leads or contacts that are not deleted, page by page."""
    listing = _listing(Api(http, account), stream, "id", MOST_PER_PAGE)
    async for part in walk(listing, Place()):
        rows = [row for row in part.rows if stream != "orders" or _is_in_pipelines(account, row)]
        yield [name for row in rows if (name := row_id(row)) is not None]


def to_record(stream: str, row: Row) -> RawRecord:
    """The record of a decoded row."""
    name = row_id(row)
    assert name is not None, "rows without an id are told as problems before"
    digest = hashlib.sha256(_canonical.encode(_what_matters(row))).digest()
    return RawRecord(stream, name, encode_json(row).decode(), digest)


def _what_matters(value: Any) -> Any:
    """Without links, which name the asking address, and what tasks change by themselves."""
    if isinstance(value, dict):
        return {
            name: _what_matters(item)
            for name, item in value.items()
            if name not in ("_links", "closest_task_at", "score", "current_user_id")
        }
    return [_what_matters(item) for item in value] if isinstance(value, list) else value


async def _pull_changes(api: Api, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
    """What changed since the cursor, in a window that ends at the vendor's present; where the account ignores filters,
    from the whole list. During a pull the cursor holds its place; the last one holds the watermark."""
    state = _State.of(cursor, _scope(api.account, stream))
    since = None if api.account.since is None else math.ceil(api.account.since.timestamp())
    if not state.is_under_way:
        now, has_no_filters = await _now(api)
        state.begin(since, now)
        if has_no_filters:
            _warn(api, stream)
            state.place = Place()
    if state.place is None:
        listing = _listing(api, stream, "updated_at", _limit(api.account))
        window = Seconds(state.start, state.end)
        try:
            async for part in changes(listing, window):
                state.start = window.start
                yield await _page(api, stream, part, state, since)
        except FiltersIgnoredError:
            _warn(api, stream)
            state.place = Place()
    if state.place is not None:
        async for part in walk(_listing(api, stream, "id", _limit(api.account)), state.place):
            yield await _page(api, stream, part, state, state.lower)
    yield Page([], state.finished())


def _warn(api: Api, stream: str) -> None:
    _log.warning("amocrm_filter_ignored", project_id=api.account.project_id, list=stream)


async def _page(api: Api, stream: str, part: Read, state: _State, lower: int | None) -> Page:
    rows = [row for row in part.rows if lower is None or (row_time(row) or lower) >= lower]
    for row in rows:
        moment = row_time(row)
        if moment is not None and moment <= state.end:
            state.newest = max(state.newest, moment)
    return Page(await _records(api, stream, rows), state.as_json(), None, part.problems)


async def _pull_window(api: Api, stream: str, window: Window) -> AsyncIterator[Page]:
    """What was created in the window."""
    first, behind = math.ceil(window.start.timestamp()), math.ceil(window.end.timestamp())
    # Wider by a second on both sides: whether the bounds belong to the range is not documented.
    extra = [("filter[created_at][from]", max(0, first - 1)), ("filter[created_at][to]", behind)]
    listing = _listing(api, stream, "id", _limit(api.account))
    async for part in walk(listing, Place(), extra):
        rows = [row for row in part.rows if first <= (row_time(row, "created_at") or first) < behind]
        yield Page(await _records(api, stream, rows), None, None, part.problems)


async def _pull_deletions(api: Api, cursor: Cursor | None, window: Window | None) -> AsyncIterator[Page]:
    """Deletions and restorations from the account's log, in a window that ends at the vendor's present, so that what
    comes later does not shift its pages; `walk` notices what does."""
    state = _State.of(cursor, "deletions")
    if window is not None:
        state.begin_at(math.ceil(window.start.timestamp()), math.ceil(window.end.timestamp()) - 1)
    elif not state.is_under_way:
        since = api.account.since
        now, _ = await _now(api)
        state.begin(None if since is None else math.ceil(since.timestamp()), now)
    place = state.place or Place()
    if window is None:
        state.place = place
    params = [
        ("filter[type]", ",".join(DELETED)),
        ("filter[created_at][from]", max(0, state.start - 1)),
        ("filter[created_at][to]", state.end + 1),
    ]
    limit = min(related.EVENTS_PER_PAGE, _limit(api.account))
    async for part in walk(Listing(api, "/events", "events", params, limit), place):
        rows = []
        for row in part.rows:
            moment = row_time(row, "created_at")
            if row.get("type") in DELETED and moment is not None and state.start <= moment <= state.end:
                rows.append(row)
                state.newest = max(state.newest, moment)
        records = [to_record("deletions", row) for row in rows]
        yield Page(records, None if window is not None else state.as_json(), None, part.problems)
    if window is None:
        yield Page([], state.finished())


async def _records(api: Api, stream: str, rows: list[Row]) -> list[RawRecord]:
    if stream == "orders":
        rows = [row for row in rows if _is_in_pipelines(api.account, row)]
        await related.complete(api, rows)
    return [to_record(stream, row) for row in rows]


def _listing(api: Api, stream: str, order: str, limit: int) -> Listing:
    resource = RESOURCES[stream]
    params = [*resource.params, (f"order[{order}]", "asc")]
    if stream == "orders":
        params += [("filter[pipeline_id][]", name) for name in api.account.options.get("pipeline_ids") or ()]
    return Listing(api, resource.path, resource.key, params, limit)


def _limit(account: Account) -> int:
    return max(1, min(account.batch_size, MOST_PER_PAGE))


def _scope(account: Account, stream: str) -> str:
    pipelines = account.options.get("pipeline_ids") or () if stream == "orders" else ()
    return ",".join(sorted(str(name) for name in pipelines))


def _is_in_pipelines(account: Account, row: Row) -> bool:
    wanted = account.options.get("pipeline_ids") or ()
    return not wanted or str(row.get("pipeline_id")) in {str(name) for name in wanted}


async def _now(api: Api) -> tuple[int, bool]:
    """The vendor's present, and whether the account says that its filters are off."""
    try:
        answer = await api.get("/account", [("with", "is_api_filter_enabled")])
    except NotFoundError as error:
        raise ConfigError(
            f"{error.message} (there is no amoCRM here: base_url should be https://SUBDOMAIN.amocrm.ru)", status=404
        ) from None
    said = _object(answer.value, "/account").get("is_api_filter_enabled")
    return int((answer.date or datetime.now(UTC)).timestamp()), said is False


def _object(value: Any, path: str) -> Row:
    if not _has_id(value):
        raise RetryError(f"{path}: the answer is not amoCRM's: check base_url")
    found: Row = value
    return found


def _has_id(value: Any) -> bool:
    return isinstance(value, dict) and row_id(value) is not None


@dataclass(slots=True)
class _State:
    """A pull's cursor. Times are unix seconds, as amoCRM's are."""

    scope: str
    watermark: int = 0
    lower: int = 0
    """Where this pull began to read."""
    start: int = 0
    """Where it goes on."""
    end: int = 0
    newest: int = 0
    place: Place | None = None
    """Of a walk through the whole list."""
    is_under_way: bool = False

    @classmethod
    def of(cls, cursor: Cursor | None, scope: str) -> _State:
        """A cursor that is none of ours, or of another choice of pipelines, is worth nothing: everything is read again,
        which adds nothing twice."""
        state = cls(scope)
        if cursor is None or cursor.get("scope") != scope:
            return state
        try:
            state.watermark = _whole(cursor["watermark"])
            pull = cursor.get("pull")
            if pull is None:
                return state
            state.begin_at(_whole(pull["start"]), _whole(pull["end"]))
            state.lower, state.newest = _whole(pull["lower"]), _whole(pull["newest"])
            if (place := pull["place"]) is not None:
                state.place = Place(
                    _whole(place["offset"]), [(str(name), _whole(time)) for name, time in place["recent"]]
                )
        except (KeyError, TypeError, ValueError):
            return cls(scope)
        return state

    def begin(self, since: int | None, now: int) -> None:
        """A new pull, up to the vendor's present."""
        lower = max(0, self.watermark - int(OVERLAP.total_seconds()))
        self.begin_at(max(lower, since or 0), now)

    def begin_at(self, start: int, end: int) -> None:
        self.lower, self.start, self.end, self.is_under_way = start, start, end, True

    def as_json(self) -> dict[str, Any]:
        place = None if self.place is None else {"offset": self.place.offset, "recent": self.place.recent}
        pull = {"lower": self.lower, "start": self.start, "end": self.end, "newest": self.newest, "place": place}
        return {"scope": self.scope, "watermark": self.watermark, "pull": pull}

    def finished(self) -> Mapping[str, Any]:
        """What was seen, and never beyond: an empty window says nothing of what comes into it late."""
        return {"scope": self.scope, "watermark": max(self.watermark, min(self.newest, self.end))}


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value
