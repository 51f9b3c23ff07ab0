"""What all charts have: values in named series, the picture, its text alternative and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from dashboard.ui import templating
from dashboard.ui.charts.scales import Unit, value_text
from dashboard.ui.language import Language, translations

Tone = Literal["c1", "c2", "c3", "c4", "c5", "ok", "near", "over", "none"]
"""Classes of static/charts.css: five to tell series apart (by dashes too), four for states."""
TONES: tuple[Tone, ...] = ("c1", "c2", "c3", "c4", "c5")


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    values: Sequence[float | None]
    """One for each label of the chart; None: nothing is known."""
    tone: Tone = "c1"


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    svg: Markup
    head: tuple[str, ...]
    """Of the table behind it."""
    rows: tuple[tuple[str, ...], ...]
    legend: tuple[tuple[Tone, str], ...]
    is_lines: bool = False
    """Whether the legend shows strokes and no areas."""


def table_of(
    labels: Sequence[str], series: Sequence[Series], unit: Unit, language: Language
) -> tuple[tuple[str, ...], ...]:
    """A row for each label: the label, then each series' value in words."""
    return tuple(
        (label, *(value_text(each.values[place], unit, language) for each in series))
        for place, label in enumerate(labels)
    )


def drawn(template: str, language: Language, **context: Any) -> Markup:
    """The SVG of a template under templates/ui/charts, autoescaped."""
    text = templating.render(f"ui/charts/{template}.svg.html", language, context)
    return Markup(" ".join(text.split("\n")))  # noqa: S704 - autoescaped by the template


def alternative(title: str, series: Sequence[Series], unit: Unit, language: Language) -> str:
    """One sentence for those who do not see the picture: what it shows and between which values."""
    gettext = translations(language).gettext
    parts = []
    for each in series:
        known = [value for value in each.values if value is not None]
        if known:
            low, high = (value_text(value, unit, language) for value in (min(known), max(known)))
            parts.append(gettext("%(name)s from %(low)s to %(high)s") % {"name": each.name, "low": low, "high": high})
    return f"{title}: {'; '.join(parts)}." if parts else gettext("%(title)s: no values.") % {"title": title}
