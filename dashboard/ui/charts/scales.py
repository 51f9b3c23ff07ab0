"""Axes: where their marks stand, and what they say."""

from __future__ import annotations

import math
from typing import Literal

from dashboard.ui import formats
from dashboard.ui.language import Language

Unit = Literal["seconds", "count", "share"]
"""Of a chart's values: durations, whole numbers, shares of 1."""

_MARKS = 5
_HOUR, _DAY = 3600.0, 86400.0
_STEPS = (
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR,
    12 * _HOUR, _DAY, 2 * _DAY, 5 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 60 * _DAY, 90 * _DAY, 180 * _DAY, 360 * _DAY,
)  # fmt: skip
"""Seconds that a clock or a calendar knows."""


def marks(highest: float, unit: Unit) -> list[float]:
    """Round values from 0 to at least `highest`, evenly spaced: at most 7 of them, at least 2."""
    if unit == "share":
        return [0.0, 0.25, 0.5, 0.75, 1.0]
    wanted = max(highest, 0.0) / (_MARKS - 1)
    step = _step_of_time(wanted) if unit == "seconds" else _step_of_ten(wanted)
    count = max(1, math.ceil(highest / step - 1e-9))
    return [step * number for number in range(count + 1)]


def _step_of_time(wanted: float) -> float:
    fitting = next((step for step in _STEPS if step >= wanted), None)
    return fitting if fitting is not None else 360 * _DAY * _step_of_ten(wanted / (360 * _DAY))


def _step_of_ten(wanted: float) -> float:
    if wanted <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= wanted - 1e-9)


def mark_text(value: float, unit: Unit, language: Language) -> str:
    """Short, for an axis."""
    if unit == "seconds":
        return "0" if value == 0 else formats.duration(value, language)
    if unit == "share":
        return formats.percent(value, language)
    return formats.compact(value, language)


def value_text(value: float | None, unit: Unit, language: Language) -> str:
    """In full, for tables and titles."""
    if unit == "seconds":
        return formats.duration(value, language)
    if unit == "share":
        return formats.percent(value, language)
    return formats.number(value, language)


def thinned(count: int, at_most: int) -> list[int]:
    """Which of `count` labels are shown, evenly, so that they do not run into each other; the first among them."""
    step = max(1, math.ceil(count / at_most))
    return list(range(0, count, step))
