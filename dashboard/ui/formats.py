"""Numbers, durations and instants as people read them; pure."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from decimal import Decimal

import msgspec
from babel.dates import format_datetime
from babel.numbers import format_compact_decimal, format_currency, format_decimal, format_percent

from dashboard.ui.language import Language

NOTHING = "–"
"""Shown where there is no value: nothing known is not zero."""
_UNITS: dict[str, tuple[str, str, str, str]] = {
    "en": ("d", "h", "min", "s"),
    "uk": ("д", "год", "хв", "с"),
    "ru": ("д", "ч", "мин", "с"),
}
_INSTANTS: dict[str, str] = {"en": "d MMM y, HH:mm"}
"""How an instant is written where the language's own short form would not do: English 11/12/26 is a day in December to
some readers and one in November to others. The others name the day first, and are not read otherwise."""
_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def duration(seconds: float | Decimal | None, language: Language) -> str:
    """`1 d 4 h 12 min`: whole minutes, below one minute whole seconds; `–` for None. A day has 24 hours.

    Cut, not rounded: 59.9 s are no minute yet.
    """
    if seconds is None:
        return NOTHING
    whole = abs(int(seconds))
    sign = "−" if seconds <= -1 else ""
    day, hour, minute, second = _UNITS[language]
    if whole < _MINUTE:
        return f"{sign}{whole} {second}"
    parts = [(whole // _DAY, day), (whole % _DAY // _HOUR, hour), (whole % _HOUR // _MINUTE, minute)]
    return sign + " ".join(f"{count} {unit}" for count, unit in parts if count)


def instant(at: datetime | None, zone: tzinfo, language: Language, pattern: str = "short") -> str:
    """Date and time in a zone, the day first, as the language writes them: `21 Nov 2026, 23:05`; `–` for None."""
    if at is None:
        return NOTHING
    if pattern == "short":
        pattern = _INSTANTS.get(language, pattern)
    return format_datetime(at.astimezone(zone), pattern, locale=language)


def iso(at: datetime) -> str:
    """For the attribute `datetime` of `<time>`: UTC, whole seconds."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def number(value: float | Decimal | None, language: Language, digits: int | None = None) -> str:
    """`12 345,6` in the language's form; `digits` after the point, at most 2 by default; `–` for None."""
    if value is None:
        return NOTHING
    pattern = "#,##0.##" if digits is None else "#,##0" + ("." + "0" * digits if digits else "")
    return format_decimal(value, pattern, locale=language)


def compact(value: float | Decimal | None, language: Language) -> str:
    """`12K`, for the axes of charts; `–` for None."""
    return NOTHING if value is None else format_compact_decimal(value, locale=language, fraction_digits=1)


def percent(share: float | Decimal | None, language: Language) -> str:
    """A share of 1 as `12.3 %`; `–` for None."""
    return NOTHING if share is None else format_percent(share, "#,##0.#\u00a0%", locale=language)


def indented(text: str) -> str:
    """JSON one field a line; anything else as it is."""
    try:
        return msgspec.json.format(text.encode(), indent=2).decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return text


def money(amount: Decimal | None, currency: str | None, language: Language) -> str:
    """An amount with its currency, if it has one; `–` for None."""
    if amount is None:
        return NOTHING
    return format_currency(amount, currency, locale=language) if currency else number(amount, language, 2)
