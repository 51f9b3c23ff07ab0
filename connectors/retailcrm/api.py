"""What every request to the RetailCRM API v5 has in common: key, `success`, limits of a page, errors in our words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError, RetryError
from connectors.http import Answer, HttpSession, decode_json, encode_json
from connectors.protocol import Account
from connectors.values.times import zone

PREFIX = "/api/v5"
PAGE_SIZES = (20, 50, 100)
"""Another `limit` is refused."""
RATE_LIMIT = (10, 1.0)
_LIMIT_WORDS = re.compile(r"limit|too many", re.IGNORECASE)
_EXISTS_WORDS = re.compile(r"already exists", re.IGNORECASE)
_MOST_RESTARTS = 5

Row = dict[str, Any]


class ExistsError(PermanentError):
    """An object with this externalId is there already."""


_groups: WeakKeyDictionary[HttpSession, dict[str, str]] = WeakKeyDictionary()
"""Group of each status, as long as a session lives."""


async def get(http: HttpSession, account: Account, path: str, params: list[tuple[str, object]] | None = None) -> Row:
    """The answer of one GET, an object with `success`. `path` is below /api/v5. Raises ConnectorError; NotFoundError
    only where the API itself says that there is no such object."""
    return await _get(http, account, PREFIX + path, params)


async def post(http: HttpSession, account: Account, path: str, entities: Mapping[str, Any], **params: str) -> Row:
    """The answer of one POST, of a form in which each entity is a JSON text. `path` is below /api/v5. The project's
    site is named, if it has one. Repeated only where nothing was done. Raises ConnectorError; ExistsError."""
    site = account.options.get("site")
    form = {**params, **({"site": site} if site else {})}
    form |= {name: encode_json(value).decode() for name, value in entities.items()}
    return await _checked(
        "POST",
        PREFIX + path,
        http.request(
            "POST",
            PREFIX + path,
            form=form,
            headers=_headers(account),
            decode=decode_json,
            inspect=_inspect,
            idempotent=False,
            is_write=True,
        ),
    )


async def get_unversioned(http: HttpSession, account: Account, path: str) -> Row:
    """The same below /api."""
    return await _get(http, account, f"/api{path}", None)


async def _get(http: HttpSession, account: Account, path: str, params: list[tuple[str, object]] | None) -> Row:
    asked = http.request(
        "GET", path, params=params or None, headers=_headers(account), decode=decode_json, inspect=_inspect
    )
    return await _checked("GET", path, asked)


async def _checked(method: str, path: str, asked: Awaitable[Answer[Any]]) -> Row:
    try:
        answer = await asked
    except NotFoundError as error:
        if "Not found" in error.message and "API method" not in error.message and "<html" not in error.message:
            raise
        raise ConfigError(f"{error.message} (there is no RetailCRM API at this address: check base_url)") from None
    if type(answer.value) is not dict or answer.value.get("success") is not True:
        raise RetryError(f"{method} {path}: the answer is not RetailCRM's: check base_url", status=answer.status)
    return answer.value


def rows_of(answer: Row, key: str) -> list[Row]:
    """The objects of a list or, as the dictionaries come, of an object keyed by code."""
    value = answer.get(key)
    if type(value) is dict:
        found = []
        for code, row in value.items():
            if type(row) is dict:
                row.setdefault("code", code)
                found.append(row)
        return found
    return [row for row in value if type(row) is dict] if type(value) is list else []


def page_size(wanted: int) -> int:
    """The greatest legal `limit` that is not over what is wanted; the least there is, if that is less."""
    return max((size for size in PAGE_SIZES if size <= wanted), default=PAGE_SIZES[0])


def size_for(count: int) -> int:
    """The least legal `limit` of a page that holds so many rows, of up to 100."""
    return min((size for size in PAGE_SIZES if size >= count), default=PAGE_SIZES[-1])


def site_filter(account: Account) -> list[tuple[str, object]]:
    """Parameter of a list: only the project's site, if it has one."""
    site = account.options.get("site")
    return [("filter[sites][]", site)] if site else []


async def list_rows(
    http: HttpSession, account: Account, path: str, key: str, params: list[tuple[str, object]], limit: int
) -> AsyncIterator[tuple[list[Row], int | None]]:
    """(rows, number of all) of each page of a list.

    A deletion moves later rows up, past a reader: when the number shrinks, the list is read again from its start, and
    rows come twice. Raises RetryError if it shrinks again and again.
    """
    page, last_total, restarts = 1, None, 0
    while True:
        answer = await get(http, account, path, [*params, ("limit", limit), ("page", page)])
        rows, pagination = rows_of(answer, key), _pagination(answer)
        total = pagination.get("totalCount")
        total = total if type(total) is int else None
        if last_total is not None and total is not None and total < last_total:
            restarts += 1
            if restarts > _MOST_RESTARTS:
                raise RetryError(f"{path}: the list loses rows faster than it can be read")
            page, last_total = 1, None
            continue
        yield rows, total
        last_total = total
        if not rows or len(rows) < given_limit(answer, limit):
            return
        page += 1


def given_limit(answer: Row, asked: int) -> int:
    """Rows in a full page: what the answer says, else what was asked for."""
    given = _pagination(answer).get("limit")
    return given if type(given) is int and 0 < given <= asked else asked


def total_of(answer: Row) -> int | None:
    total = _pagination(answer).get("totalCount")
    return total if type(total) is int else None


async def account_zone(http: HttpSession, account: Account) -> str:
    """IANA name of the zone that the account's times are in; the project's where the key may not read it."""
    known = account.context.timezone_of()
    try:
        answer = await get(http, account, "/settings")
    except ConfigError as error:
        if error.status != 403 or "Access denied" not in error.message:
            raise
        return known
    settings = answer.get("settings")
    given = settings.get("timezone") if type(settings) is dict else None
    name = given.get("value") if type(given) is dict else None
    if type(name) is not str:
        return known
    try:
        zone(name)
    except ValueError:
        return known
    return name


async def status_groups(http: HttpSession, account: Account, needed: set[str]) -> Mapping[str, str]:
    """Group code by status code. Asked for once in a session, and again when a status is needed that it lacks."""
    known = _groups.get(http)
    if known is None or not needed <= known.keys():
        rows = rows_of(await get(http, account, "/reference/statuses"), "statuses")
        known = {str(row["code"]): str(row["group"]) for row in rows if row.get("code") and row.get("group")}
        # A status that the dictionary does not have is not asked for each time.
        known |= {code: "" for code in needed if code not in known}
        _groups[http] = known
    return known


def _pagination(answer: Row) -> Row:
    found = answer.get("pagination")
    return found if type(found) is dict else {}


def _headers(account: Account) -> dict[str, str]:
    key = account.credentials.get("api_key", "").strip()
    if not key:
        raise ConfigError("the credential api_key is not set")
    if not key.isascii() or not key.isprintable():
        raise ConfigError("the credential api_key has characters that no key has")
    return {"X-API-KEY": key}


def _inspect(status: int, headers: Mapping[str, str], value: Any) -> ConnectorError | None:
    """What RetailCRM means where the status alone does not say it."""
    said = value.get("errorMsg") if type(value) is dict else None
    said = said if type(said) is str else ""
    if status in (429, 503) and _LIMIT_WORDS.search(said):
        # The vendor's word for too many requests is 503, without Retry-After.
        return RetryError(f"RetailCRM answers {status}: {said}", status=429)
    if status == 403 and "apiKey" in said:
        return ConfigError("RetailCRM refuses the credential api_key; copy the key anew from its settings", status=403)
    if status == 400 and '"apiKey" is missing' in said:
        return ConfigError("RetailCRM got no api_key; set the credential api_key", status=403)
    if status == 405 and not said:
        return ConfigError("there is no RetailCRM account at this address: check base_url", status=405)
    if status == 400 and "'site' is missing" in said:
        return ConfigError("the api_key opens several shops: say in options.site which one is written to", status=400)
    if status == 400 and _EXISTS_WORDS.search(said):
        return ExistsError(said, status=400)
    if status < 300 and type(value) is dict and value.get("success") is False:
        return RetryError(f"RetailCRM answers {status} without success: {said or 'no reason is given'}", status=status)
    return None
