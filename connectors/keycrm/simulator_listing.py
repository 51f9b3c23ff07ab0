"""Lists: query string -> what is asked for -> one page in Laravel's paginator envelope.

Choices where the documents are silent: a `limit` out of 1..50 is a 422, as Laravel's validation answers (or taken as
50, by the account's `limit_policy`); a `page` that is no number from 1 on is page 1, as Laravel's paginator reads it;
an unreadable `..._between` is a 422; sorting by a field that is not allowed is a 400 in Spatie's words. An unknown
filter changes nothing, and the paginator's URLs carry the page alone: both as seen live.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from fastapi import Request, Response

from connectors.keycrm.simulator_bodies import Includes, read_includes
from connectors.keycrm.simulator_records import Query, Record, Table
from connectors.keycrm.simulator_values import JSON, ApiError, Errors, digits, read_id, read_stamp

if TYPE_CHECKING:
    from connectors.keycrm.simulator_state import SimulatorState

R = TypeVar("R", bound=Record)
Test = Callable[[R], bool]

DEFAULT_LIMIT = 15
MOST_ON_A_PAGE = 50

_encode = msgspec.json.Encoder().encode


def answer(body: Any, status: int = 200) -> Response:
    return Response(_encode(body), status, media_type="application/json")


def account(request: Request) -> SimulatorState:
    """The account that the request's key opens."""
    state: SimulatorState = request.scope["account"]
    return state


async def read_body(request: Request) -> JSON:
    """The body's object; like Laravel, nothing for a body that is none."""
    try:
        body = msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def find(table: Table[R], text: str) -> R:
    """The record with that id. Raises ApiError 404."""
    record = table.get(read_id(text))
    if record is None:
        raise ApiError(404, "Resource not found.")
    return record


@dataclass(frozen=True, slots=True)
class Asked:
    """A list's query string, read."""

    page: int = 1
    limit: int = DEFAULT_LIMIT
    sort: str | None = None
    include: str = ""
    filters: dict[str, str] = field(default_factory=dict)

    def values(self, name: str) -> frozenset[str] | None:
        """A filter's comma list; None if the filter is absent."""
        text = self.filters.get(name)
        return None if text is None else frozenset(part.strip() for part in text.split(",") if part.strip())


def read_query(state: SimulatorState, query: bytes) -> Asked:
    """Raises ApiError 422."""
    values: dict[str, str] = {}
    filters: dict[str, str] = {}
    for part in query.decode("latin-1").split("&"):
        if not state.reads_encoded_brackets and "%5B" in part.partition("=")[0].upper():
            continue
        for name, value in parse_qsl(part, keep_blank_values=True):
            if name.startswith("filter[") and "]" in name:
                key = name[len("filter[") : name.index("]")]
                # `filter[x][]=1&filter[x][]=2` is PHP's other way to write a list.
                known = filters.get(key)
                filters[key] = f"{known},{value}" if known is not None and name.endswith("[]") else value
            else:
                values[name] = value
    return Asked(
        page=_page(values.get("page")),
        limit=_limit(state, values.get("limit")),
        sort=values.get("sort") or None,
        include=values.get("include", ""),
        filters=filters,
    )


def _page(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31 else 1


def _limit(state: SimulatorState, text: str | None) -> int:
    if text is None or text == "":
        return DEFAULT_LIMIT
    errors = Errors()
    try:
        limit = int(text)
    except ValueError:
        errors.fail("limit", "The limit must be an integer.")
    if limit < 1:
        errors.fail("limit", "The limit must be at least 1.")
    if limit > MOST_ON_A_PAGE and state.limit_policy == "reject":
        errors.fail("limit", f"The limit must not be greater than {MOST_ON_A_PAGE}.")
    return min(limit, MOST_ON_A_PAGE)


def read_between(asked: Asked, name: str) -> tuple[str, str] | None:
    """Both ends of `filter[<name>]` as stamps; None if it is absent. Raises ApiError 422."""
    text = asked.filters.get(name)
    if text is None:
        return None
    errors = Errors()
    ends = [read_stamp(part, f"filter.{name}", errors) for part in text.split(",")]
    errors.stop()
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        errors.fail(f"filter.{name}", f"The filter.{name} must be two dates.")
    return ends[0], ends[1]


def member(asked: Asked, name: str, value: Callable[[R], Any]) -> list[Test[R]]:
    """The test of a comma-list filter on one value of the record: none if the filter is absent."""
    wanted = asked.values(name)
    if wanted is None:
        return []
    return [lambda record: str(value(record)) in wanted]


def truth(asked: Asked, name: str, value: Callable[[R], Any]) -> list[Test[R]]:
    """The test of a yes-or-no filter: none if the filter is absent or unreadable."""
    text = asked.filters.get(name, "").strip().lower()
    if text not in {"1", "true", "0", "false"}:
        return []
    is_wanted = text in {"1", "true"}
    return [lambda record: bool(value(record)) == is_wanted]


def contact(asked: Asked, values: Callable[[R, str], Sequence[str]]) -> list[Test[R]]:
    """The tests of the filters by a buyer's phones and emails; `values` gives a record's own, by `phone` or `email`."""
    tests: list[Test[R]] = []
    for kind, key in (("phone", digits), ("email", str.lower)):
        if (asked_for := asked.values(f"buyer_{kind}")) is not None:
            tests.append(_shares(kind, key, frozenset(map(key, asked_for)), values))
    return tests


def _shares(
    kind: str, key: Callable[[str], str], wanted: frozenset[str], values: Callable[[R, str], Sequence[str]]
) -> Test[R]:
    return lambda record: not wanted.isdisjoint(map(key, values(record, kind)))


def read_windows(asked: Asked, *filters: tuple[str, str]) -> tuple[tuple[str, str, str] | None, list[Test[Record]]]:
    """Of (filter, column): the window of the first that is given, and the tests of the others. Raises ApiError 422."""
    given = [(by, ends) for name, by in filters if (ends := read_between(asked, name)) is not None]
    tests = [_within(by, ends) for by, ends in given[1:]]
    return (None if not given else (given[0][0], *given[0][1])), tests


def _within(by: str, ends: tuple[str, str]) -> Test[Record]:
    return lambda record: ends[0] <= record.fields[by] <= ends[1]


def read_sort(asked: Asked, allowed: Sequence[str], default: str) -> str:
    """Raises ApiError 400 in Spatie's words."""
    if asked.sort is None:
        return default
    if asked.sort.removeprefix("-") not in allowed:
        raise ApiError(
            400,
            f"Requested sort(s) `{asked.sort.removeprefix('-')}` is not allowed. "
            f"Allowed sort(s) are `{', '.join(allowed)}`.",
        )
    return asked.sort


def list_page(
    request: Request,
    table: Table[R],
    body: Callable[[R, Includes], JSON],
    *,
    asked: Asked,
    tests: Sequence[Test[R]] = (),
    window: tuple[str, str, str] | None = None,
    sorts: Sequence[str] = ("id",),
    default_sort: str = "id",
    includes: tuple[str, ...] = (),
) -> Response:
    """One page of a table. The tests must follow from `asked` alone: equal questions share one list until a change."""
    state = account(request)
    sort = read_sort(asked, sorts, default_sort)
    wanted = read_includes(asked.include, includes)
    key = (window, sort, tuple(sorted(asked.filters.items())))
    is_struck = request.scope.get("fault") == "duplicate_page"
    shown, longer = state.shifts.place((request.scope["path"], asked.limit, key), asked.page, is_struck)
    ids = table.select(Query(key, window, tests, sort))
    start = (shown - 1) * asked.limit
    rows = [body(table.rows[record_id], wanted) for record_id in ids[start : start + asked.limit]]
    url = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}{request.scope['path']}"
    last = max(1, -(-len(ids) // asked.limit)) + longer
    return answer(_envelope(url, asked.page, asked.limit, last, len(ids), rows))


def _envelope(url: str, page: int, limit: int, last: int, total: int, rows: list[JSON]) -> JSON:
    def address(number: int) -> str | None:
        return f"{url}?page={number}" if 1 <= number <= last else None

    def link(text: str, number: int, is_active: bool = False) -> JSON:
        return {"url": address(number), "label": text, "active": is_active}

    first_row = (page - 1) * limit + 1
    near = range(max(1, page - 3), min(last, page + 3) + 1)
    return {
        "current_page": page,
        "data": rows,
        "first_page_url": address(1),
        "from": first_row if rows else None,
        "last_page": last,
        "last_page_url": address(last),
        "links": [
            link("&laquo; Previous", page - 1),
            *(link(str(number), number, number == page) for number in near),
            link("Next &raquo;", page + 1),
        ],
        "next_page_url": address(page + 1),
        "path": url,
        "per_page": limit,
        "prev_page_url": address(page - 1),
        "to": first_row + len(rows) - 1 if rows else None,
        "total": total,
    }
