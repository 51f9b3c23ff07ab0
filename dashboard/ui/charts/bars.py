"""Values of a few things side by side, as bars: one group for each label, one bar in it for each series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.ui.charts.plane import plane
from dashboard.ui.charts.scales import Unit, value_text
from dashboard.ui.charts.shown import Chart, Series, Tone, alternative, drawn, table_of
from dashboard.ui.language import Language

_FILL = 0.78
"""Share of a group's slot that its bars take."""
_WIDEST = 46.0


@dataclass(frozen=True, slots=True)
class Bar:
    tone: Tone
    x: float
    y: float
    width: float
    height: float
    title: str


def bars(
    language: Language, title: str, labels: Sequence[str], series: Sequence[Series], unit: Unit, first: str = ""
) -> Chart:
    """`first` heads the labels' column in the table. Values that are not known have no bar."""
    on = plane(labels, series, unit, language)
    width = min(on.slot_width * _FILL / max(len(series), 1), _WIDEST)
    made = []
    for at, label in enumerate(labels):
        begin = on.x(at) - width * len(series) / 2
        for number, each in enumerate(series):
            value = each.values[at]
            if value is None:
                continue
            y = on.y(value)
            said = f"{each.name}, {label}: {value_text(value, unit, language)}"
            x = round(begin + width * number, 1)
            made.append(Bar(each.tone, x, y, round(max(width - 1, 1), 1), round(on.bottom - y, 1), said))
    text = alternative(title, series, unit, language)
    svg = drawn("bars", language, on=on, bars=made, alternative=text)
    return Chart(
        title, svg, (first, *(each.name for each in series)), table_of(labels, series, unit, language),
        tuple((each.tone, each.name) for each in series),
    )  # fmt: skip
