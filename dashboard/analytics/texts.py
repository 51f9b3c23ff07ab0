"""Words for periods, stages and orders in the user's language; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from babel.dates import format_date

from dashboard.ui import formats
from dashboard.ui.language import Language, translations
from database.repositories.analytics import Grain


def period_name(grain: Grain, first: date, language: Language) -> str:
    """`21 Nov`, of a week its Monday, `Nov 2026`."""
    if grain == "month":
        return format_date(first, "LLL y", locale=language)
    return format_date(first, "d MMM", locale=language)


def period_title(grain: Grain, first: date, language: Language) -> str:
    """In full: with the year, and that it is a week."""
    if grain == "month":
        return format_date(first, "LLLL y", locale=language)
    day = format_date(first, "d MMM y", locale=language)
    return translator(language)("week of %(day)s") % {"day": day} if grain == "week" else day


def stage_name(row: Mapping[str, Any], prefix: str, language: Language) -> str:
    """Of the column `{prefix}_name`, else the id. Statuses without a group have neither, nor has an order's beginning."""
    none = "Beginning, or without a stage" if prefix.startswith("previous") else "Without a stage"
    return row[f"{prefix}_name"] or row[f"{prefix}_id"] or translator(language)(none)


def kind_name(is_urgent: bool, language: Language) -> str:
    gettext = translator(language)
    return gettext("Urgent") if is_urgent else gettext("Normal")


def short_duration(seconds: Decimal, language: Language) -> str:
    """The largest unit and the next: `2 d 4 h`."""
    size = next((size for size in (86400, 3600) if seconds >= size), 60)
    kept = {86400: 3600, 3600: 60, 60: 1}[size]
    return formats.duration(int(seconds) // kept * kept, language)


def translator(language: Language) -> Callable[[str], str]:
    return translations(language).gettext
