"""How this browser wants its pages: language, theme, time zone. Kept in cookies that our scripts may read."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import Response

from dashboard.ui.language import Language, language_of, negotiated

Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)
LANGUAGE_COOKIE = "crm_elt_language"
THEME_COOKIE = "crm_elt_theme"
ZONE_COOKIE = "crm_elt_zone"
"""Written by static/shell.js as the browser knows it."""
_YEAR = 365 * 86400


@dataclass(frozen=True, slots=True)
class Preferences:
    language: Language
    theme: Theme
    zone: ZoneInfo | None
    """The viewer's; None until a script has told it: instants are then shown in the project's zone."""


def preferences_of(connection: HTTPConnection) -> Preferences:
    """By cookie; the language else by `Accept-Language`."""
    cookies = cookie_parser(connection.headers.get("cookie", ""))
    language = language_of(cookies.get(LANGUAGE_COOKIE)) or negotiated(connection.headers.get("accept-language", ""))
    zone = zone_named(cookies.get(ZONE_COOKIE, "").replace("%2F", "/"))
    return Preferences(language, theme_of(cookies.get(THEME_COOKIE)) or "auto", zone)


def keep(response: Response, *, language: Language | None = None, theme: Theme | None = None) -> None:
    """Let the browser remember a choice for a year."""
    for name, value in ((LANGUAGE_COOKIE, language), (THEME_COOKIE, theme)):
        if value is not None:
            response.set_cookie(name, value, max_age=_YEAR, samesite="lax", path="/")


def theme_of(text: str | None) -> Theme | None:
    """The theme of that name, if it is one of ours."""
    return next((theme for theme in THEMES if theme == text), None)


def zone_named(name: str) -> ZoneInfo | None:
    """A zone of the IANA database, else None: a cookie may hold anything."""
    return ZoneInfo(name) if name in _zones() else None


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
