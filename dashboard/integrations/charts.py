"""The chart of a project's runs by day, as numbers for an SVG; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from babel.dates import format_date

from dashboard.ui import formats
from dashboard.ui.language import Language, translations
from database.repositories.integrations import RunDay

WIDTH, HEIGHT = 720, 150
_LEFT, _BOTTOM, _TOP = 44, 20, 8


@dataclass(frozen=True, slots=True)
class Bar:
    """Pixels; failures stand on what succeeded."""

    x: float
    width: float
    succeeded_y: float
    succeeded_height: float
    failed_y: float
    failed_height: float
    title: str
    label: str | None


@dataclass(frozen=True, slots=True)
class RunChart:
    width: int
    height: int
    left: int
    base: int
    top: int
    bars: tuple[Bar, ...]
    highest: int
    alternative: str


def run_days(days: Sequence[RunDay], language: Language) -> RunChart:
    """One bar for each day."""
    _ = translations(language).gettext
    highest = max((day.succeeded + day.failed for day in days), default=0)
    base = HEIGHT - _BOTTOM
    slot = (WIDTH - _LEFT) / max(len(days), 1)
    scale = (base - _TOP) / max(highest, 1)
    made = []
    for number, day in enumerate(days):
        succeeded, failed = day.succeeded * scale, day.failed * scale
        name = format_date(day.day, "d MMM", locale=language)
        title = _("%(day)s: %(succeeded)d succeeded, %(failed)d failed, %(rows)d records, %(time)s on average") % {
            "day": name, "succeeded": day.succeeded, "failed": day.failed, "rows": day.rows,
            "time": formats.duration(day.avg_seconds, language),
        }  # fmt: skip
        made.append(
            Bar(
                round(_LEFT + number * slot + slot * 0.14, 1), round(slot * 0.72, 1),
                round(base - succeeded, 1), round(succeeded, 1),
                round(base - succeeded - failed, 1), round(failed, 1),
                title, name if (len(days) - 1 - number) % 7 == 0 else None,
            )
        )  # fmt: skip
    alternative = _("Synchronisations of the last 30 days: %(succeeded)d succeeded, %(failed)d failed.") % {
        "succeeded": sum(day.succeeded for day in days), "failed": sum(day.failed for day in days),
    }  # fmt: skip
    return RunChart(WIDTH, HEIGHT, _LEFT, base, _TOP, tuple(made), highest, alternative)
