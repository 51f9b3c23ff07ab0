"""Lists and histories: parameters -> one page.

Choices where the documents are silent: an unknown filter changes nothing; lists come newest first; a page beyond the
last one is empty. `filter=None`, which the vendor's own Python client sends for no filter, is no filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from connectors.retailcrm.simulator_history import History
from connectors.retailcrm.simulator_state import SimulatorState
from connectors.retailcrm.simulator_values import JSON, ApiError, php_params, read_wall, texts

LIMITS = (20, 50, 100)
CATALOG_LIMITS = (20, 50, 100, 250)

_TIMES = {
    "createdAtFrom": ("createdAt", 1),
    "createdAtTo": ("createdAt", -1),
    "dateFrom": ("createdAt", 1),
    "dateTo": ("createdAt", -1),
    "statusUpdatedAtFrom": ("statusUpdatedAt", 1),
    "statusUpdatedAtTo": ("statusUpdatedAt", -1),
    "fullPaidAtFrom": ("fullPaidAt", 1),
    "fullPaidAtTo": ("fullPaidAt", -1),
}
_MEMBERS: Mapping[str, Callable[[JSON], Any]] = {
    "ids": lambda row: row["id"],
    "externalIds": lambda row: row.get("externalId"),
    "numbers": lambda row: row.get("number"),
    "sites": lambda row: row.get("site"),
    "extendedStatus": lambda row: row.get("status"),
    "managers": lambda row: row.get("managerId"),
    "orderMethods": lambda row: row.get("orderMethod"),
    "orderTypes": lambda row: row.get("orderType"),
}


def account(request: Request) -> SimulatorState:
    state: SimulatorState = request.scope["account"]
    return state


def query_of(request: Request) -> JSON:
    query = request.scope["query_string"].decode("latin-1")
    return php_params(parse_qsl(query, keep_blank_values=True))


def list_page(
    request: Request,
    key: str,
    rows: Sequence[JSON],
    body: Callable[[JSON], JSON],
    *,
    limits: Sequence[int] = LIMITS,
) -> JSON:
    """One page of the rows that the filters let through. Raises ApiError 400."""
    query = query_of(request)
    limit, page = _limit(query, limits), _page(query)
    chosen = _filtered(rows, query.get("filter"))
    start = (page - 1) * limit
    return {
        "pagination": _pagination(len(chosen), limit, page),
        key: [body(row) for row in chosen[start : start + limit]],
    }


def history_page(request: Request, state: SimulatorState, history: History) -> JSON:
    """Raises ApiError 400; `sinceId` with `page` is one, since May 2023."""
    query = query_of(request)
    given = query.get("filter")
    filters = given if isinstance(given, dict) else {}
    limit = _limit(query, LIMITS)
    if "sinceId" in filters and "page" in query:
        raise _wrong("page", "Parameter 'page' cannot be used together with 'filter[sinceId]'")
    page = _page(query)
    entries = history.after(_whole(filters["sinceId"], "filter[sinceId]") if "sinceId" in filters else 0)
    bounds = {name: _bound(filters[name], name) for name in ("startDate", "endDate") if name in filters}
    entity = history.kind
    entries = [
        entry
        for entry in entries
        if bounds.get("startDate", "") <= entry["createdAt"] <= bounds.get("endDate", "9999")
        and filters.get(f"{entity}Id", str(entry[entity]["id"])) == str(entry[entity]["id"])
        and filters.get(f"{entity}ExternalId", entry[entity].get("externalId")) == entry[entity].get("externalId")
    ]
    start = (page - 1) * limit
    return {
        "generatedAt": state.wall(),
        "history": entries[start : start + limit],
        "pagination": _pagination(len(entries), limit, page),
    }


def _filtered(rows: Sequence[JSON], filters: Any) -> list[JSON]:
    if not isinstance(filters, dict):
        return list(rows)
    tests: list[Callable[[JSON], bool]] = []
    for name, value in filters.items():
        if name in _TIMES:
            field, sign = _TIMES[name]
            bound = _bound(value, name)
            if sign < 0 and len(bound) == 10:
                bound += " 23:59:59"
            tests.append(_time_test(field, bound, sign))
        elif name in _MEMBERS:
            tests.append(_member_test(_MEMBERS[name], frozenset(texts(value))))
        elif name == "name":
            tests.append(_name_test(str(value)))
        elif name == "customerId":
            tests.append(_member_test(lambda row: row.get("customer_id"), frozenset(texts(value))))
        elif name == "email":
            wanted = frozenset(text.casefold() for text in texts(value))
            tests.append(_member_test(lambda row: str(row.get("email")).casefold(), wanted))
    return [row for row in rows if all(test(row) for test in tests)]


def _time_test(field: str, bound: str, sign: int) -> Callable[[JSON], bool]:
    def is_inside(row: JSON) -> bool:
        value = row.get(field)
        return value is not None and (value >= bound if sign > 0 else value <= bound)

    return is_inside


def _member_test(value: Callable[[JSON], Any], wanted: frozenset[str]) -> Callable[[JSON], bool]:
    return lambda row: str(value(row)) in wanted


def _name_test(wanted: str) -> Callable[[JSON], bool]:
    """Of customers: a part of the name, or a phone, however it is written."""
    digits = re.sub(r"\D", "", wanted)

    def is_meant(row: JSON) -> bool:
        name = " ".join(str(row.get(part) or "") for part in ("firstName", "patronymic", "lastName"))
        phones = (re.sub(r"\D", "", str(phone.get("number") or "")) for phone in row.get("phones") or ())
        return wanted.casefold() in name.casefold() or (len(digits) > 4 and any(digits in phone for phone in phones))

    return is_meant


def _bound(value: Any, name: str) -> str:
    try:
        return read_wall(str(value))
    except ValueError:
        raise _wrong(f"children[{name}]", "This value is not valid.") from None


def _limit(query: JSON, limits: Sequence[int]) -> int:
    limit = _whole(query.get("limit", LIMITS[0]), "limit")
    if limit not in limits:
        raise _wrong("limit", "The value you selected is not a valid choice.")
    return limit


def _page(query: JSON) -> int:
    page = _whole(query.get("page", 1), "page")
    if page < 1:
        raise _wrong("page", "This value should be 1 or more.")
    return page


def _whole(value: Any, name: str) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise _wrong(name, "This value is not valid.") from None


def _wrong(name: str, message: str) -> ApiError:
    return ApiError(400, "Errors in the input parameters", {name: message})


def _pagination(total: int, limit: int, page: int) -> JSON:
    return {"limit": limit, "totalCount": total, "currentPage": page, "totalPageCount": -(-total // limit)}
