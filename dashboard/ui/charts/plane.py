"""The plane that bars and lines share: a value axis at the left, labels below, and a place for each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.ui.charts.scales import Unit, mark_text, marks, thinned
from dashboard.ui.charts.shown import Series
from dashboard.ui.language import Language

WIDTH, HEIGHT = 620, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 10, 10, 26
_LABEL_WIDTH = 7.0
"""Of a letter at the stylesheet's size, generously."""


@dataclass(frozen=True, slots=True)
class Mark:
    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Plane:
    """Pixels of the drawing: x to the right, y downwards."""

    highest: float
    slots: int
    value_marks: tuple[Mark, ...]
    label_marks: tuple[Mark, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM

    @property
    def slot_width(self) -> float:
        return (self.right - self.left) / max(self.slots, 1)

    def x(self, slot: int) -> float:
        """Middle of a label's slot."""
        return round(self.left + self.slot_width * (slot + 0.5), 1)

    def y(self, value: float) -> float:
        return _y(value, self.highest)


def _y(value: float, highest: float) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * min(value / highest, 1.0), 1)


def plane(labels: Sequence[str], series: Sequence[Series], unit: Unit, language: Language) -> Plane:
    """Fits all values, from 0 on. Raises ValueError if a series has not one value for each label."""
    for each in series:
        if len(each.values) != len(labels):
            raise ValueError(f"{each.name} has {len(each.values)} values for {len(labels)} labels")
    values = [value for each in series for value in each.values if value is not None]
    on_axis = marks(max(values, default=0.0), unit)
    highest = on_axis[-1]
    longest = max((len(label) for label in labels), default=1)
    room = max(1, int((WIDTH - _LEFT - _RIGHT) / (longest * _LABEL_WIDTH + 8)))
    slot = (WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    return Plane(
        highest,
        len(labels),
        tuple(Mark(_y(value, highest), mark_text(value, unit, language)) for value in on_axis),
        tuple(Mark(round(_LEFT + slot * (at + 0.5), 1), labels[at]) for at in thinned(len(labels), room)),
    )
