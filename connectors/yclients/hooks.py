"""Registers the ingest API's address in a company's webhook settings, which all its programs share."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from connectors.errors import PermanentError, RetryError
from connectors.http import HttpSession
from connectors.protocol import Account
from connectors.yclients.api import call, call_object, company_of

MOST_URLS = 10
NEEDED = ("record", "client", "finances_operation")


async def register(http: HttpSession, account: Account, url: str) -> str:
    """Add the address to those that are there: a POST replaces them all, and switches the same events on for all.

    Raises ConnectorError, PermanentError also where nothing can be added without taking away from other programs.
    """
    company = company_of(account)
    path = f"/hooks_settings/{company}"
    current, _ = await call_object(http, account, "GET", path)
    urls = _urls(current)
    ours = _without_query(url)
    others = [known for known in urls if _without_query(known) != ours]
    if len(others) >= MOST_URLS:
        raise PermanentError(
            f"Company {company} has {len(others)} webhook addresses, the most that YCLIENTS takes: remove one in its "
            "settings of the company, then register again"
        )
    wanted = [*others, url]
    is_done = sorted(urls) == sorted(wanted) and _is_on(current, "active") and all(_is_on(current, n) for n in NEEDED)
    if not is_done:
        flags = {name: int(_is_on(current, name)) for name, value in current.items() if _is_flag(name, value)}
        body = {**flags, "urls": wanted, "active": 1, **dict.fromkeys(NEEDED, 1)}
        await call(http, account, "POST", path, json=body)
        stored, _ = await call_object(http, account, "GET", path)
        if missing := set(wanted) - set(_urls(stored)):
            raise RetryError(
                f"{len(missing)} of {len(wanted)} webhook addresses are not stored at YCLIENTS: "
                "look into the webhook settings of the company, then register again"
            )
    kept = "" if not others else f"; {len(others)} address{'es' if len(others) > 1 else ''} of other programs stay"
    woken = " and are switched on too" if others and not _is_on(current, "active") else ""
    hint = (
        "" if urlsplit(url).query else "; it carries no token: set webhook: {auth: token, secret: ...}, or use bearer"
    )
    return f"YCLIENTS sends records, clients and payments of company {company} to {ours}{kept}{woken}{hint}"


def _urls(settings: dict[str, Any]) -> list[str]:
    """The addresses that are registered. Raises RetryError where they cannot be told: then nothing may be replaced."""
    urls = settings.get("urls")
    if isinstance(urls, dict):
        urls = list(urls.values())
    if urls in (None, ""):
        urls = []
    if not isinstance(urls, list) or not all(isinstance(one, str) for one in urls):
        raise RetryError("the webhook addresses that YCLIENTS has cannot be read, so nothing was changed")
    return [one for one in urls if one]


def _is_flag(name: str, value: Any) -> bool:
    return not name.endswith("id") and (isinstance(value, bool) or value in (0, 1, "0", "1"))


def _is_on(settings: dict[str, Any], name: str) -> bool:
    return settings.get(name) in (1, "1", True)


def _without_query(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))
