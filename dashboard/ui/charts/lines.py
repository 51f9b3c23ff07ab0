"""Values over time, as lines; a value that is not known leaves a gap."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.ui.charts.plane import Plane, plane
from dashboard.ui.charts.scales import Unit, value_text
from dashboard.ui.charts.shown import Chart, Series, alternative, drawn, table_of
from dashboard.ui.language import Language

_DOTS = 62
"""Up to so many values each has a dot that says it; more would be one thick line."""


def lines(
    language: Language, title: str, labels: Sequence[str], series: Sequence[Series], unit: Unit, first: str = ""
) -> Chart:
    """`labels` are the periods, oldest first; `first` heads their column in the table."""
    on = plane(labels, series, unit, language)
    paths = [(each.tone, path_of(on, each.values)) for each in series]
    dots = [
        (each.tone, on.x(at), on.y(value), f"{each.name}, {labels[at]}: {value_text(value, unit, language)}")
        for each in series
        for at, value in enumerate(each.values)
        if value is not None and (len(labels) <= _DOTS or _is_alone(each.values, at))
    ]
    text = alternative(title, series, unit, language)
    svg = drawn("lines", language, on=on, paths=paths, dots=dots, alternative=text)
    return Chart(
        title, svg, (first, *(each.name for each in series)), table_of(labels, series, unit, language),
        tuple((each.tone, each.name) for each in series),
        is_lines=True,
    )  # fmt: skip


def path_of(on: Plane, values: Sequence[float | None]) -> str:
    """SVG path data: a new run after each gap."""
    parts: list[str] = []
    is_open = False
    for at, value in enumerate(values):
        if value is None:
            is_open = False
            continue
        parts.append(f"{'L' if is_open else 'M'}{on.x(at):g} {on.y(value):g}")
        is_open = True
    return "".join(parts)


def _is_alone(values: Sequence[float | None], at: int) -> bool:
    before = values[at - 1] if at else None
    after = values[at + 1] if at + 1 < len(values) else None
    return before is None and after is None
