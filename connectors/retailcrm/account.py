"""What a push must know of the account: its zone, dictionaries and catalogue, each asked for once in a session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import anyio

from connectors.http import HttpSession
from connectors.protocol import Account
from connectors.retailcrm import api
from connectors.retailcrm.catalogue import pages
from connectors.retailcrm.offers import offer_sku
from connectors.values.fields import Fields
from connectors.values.times import zone

T = TypeVar("T")

STALE = 60.0
"""Seconds after which a dictionary that lacks something is read again."""


@dataclass(slots=True)
class _Known:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    values: dict[str, tuple[float, Any]] = field(default_factory=dict)
    """By name: when it was read, and what."""


_sessions: WeakKeyDictionary[HttpSession, _Known] = WeakKeyDictionary()


async def _once(http: HttpSession, name: str, read: Callable[[], Awaitable[T]], lacks: Callable[[T], bool]) -> T:
    """What was read before, unless it lacks something and is old."""
    known = _sessions.setdefault(http, _Known())
    async with known.lock:
        now = anyio.current_time()
        if name in known.values:
            read_at, value = known.values[name]
            if now < read_at + STALE or not lacks(value):
                found: T = value
                return found
        fresh = await read()
        known.values[name] = (now, fresh)
        return fresh


async def local_zone(http: HttpSession, account: Account) -> tzinfo:
    """In which the account writes its times: as the settings tell that were pulled, else as they tell now."""
    place = account.context.places.get("")
    if place is not None and place.timezone is not None:
        return zone(place.timezone)
    return zone(await _once(http, "zone", lambda: api.account_zone(http, account), lambda _: False))


async def codes(
    http: HttpSession, account: Account, path: str, key: str, wanted: str | None = None
) -> Mapping[str, str]:
    """Code -> name of the active entries of a dictionary, in its order. `wanted` is looked for again where it is not
    among them."""

    async def read() -> Mapping[str, str]:
        rows = api.rows_of(await api.get(http, account, f"/reference/{path}"), key)
        return {
            str(row["code"]): str(row.get("name") or row["code"])
            for row in rows
            if row.get("code") and row.get("active") is not False
        }

    def lacks(found: Mapping[str, str]) -> bool:
        return wanted is not None and code_of(found, wanted) is None

    return await _once(http, path, read, lacks)


def code_of(entries: Mapping[str, str], word: str) -> str | None:
    """The code of an entry that is called so: by its code, else by its name, however written."""
    if word in entries:
        return word
    folded = word.strip().casefold()
    return next((code for code, name in entries.items() if folded in (code.casefold(), name.strip().casefold())), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """SKU -> ids of the offers that have it."""

    offers: Mapping[str, tuple[int, ...]]

    def ids(self, sku: str) -> tuple[int, ...]:
        return self.offers.get(sku, ())


async def catalogue(http: HttpSession, account: Account, wanted: str) -> Catalogue:
    """The account's offers by SKU, read whole: there is no filter by article. Read again where it lacks `wanted`."""

    async def read() -> Catalogue:
        found: dict[str, dict[int, None]] = {}
        async for rows, _ in pages(http, account, "offers"):
            for row in rows:
                sku = offer_sku(Fields(row))
                if sku is not None and type(row.get("id")) is int:
                    found.setdefault(sku, {})[row["id"]] = None
        return Catalogue({sku: tuple(ids) for sku, ids in found.items()})

    return await _once(http, "offers", read, lambda known: not known.ids(wanted))
