"""What the forms of all sections share: numbered rows, where a problem belongs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync.settings.problems import FilePath, Problem, format_path

Fields = Mapping[str, str]
"""Name -> what is typed; a box that is not ticked is missing."""
ON = "on"
_MOST_ROWS = 2000
_CHOSEN_ALREADY = frozenset({"preset", "match", "policy", "active"})
"""What an empty row has too."""


@dataclass(frozen=True, slots=True)
class Row:
    """The fields `NAME.INDEX.*` of a form."""

    name: str
    """`cycle.0`."""
    index: int
    values: Fields
    """By what follows the index."""

    def get(self, key: str) -> str:
        """Without blanks around; empty if it is missing."""
        return self.values.get(key, "").strip()

    def has(self, key: str) -> bool:
        return self.values.get(key) == ON

    def is_blank(self, *keys: str) -> bool:
        return not any(self.get(key) for key in keys)


@dataclass(slots=True)
class Draft:
    """What a form says."""

    value: dict[str, Any] = field(default_factory=dict)
    """For `sync.settings.editing.edit_section`."""
    places: dict[str, str] = field(default_factory=dict)
    """Place in the project (`sla[2].limit`) -> name of the field."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """(field, sentence): what a value could not even say, such as one group twice."""

    def at(self, name: str, *path: str | int) -> None:
        """The place is written in this field."""
        self.places.setdefault(format_path(path), name)


def rows(fields: Fields, name: str) -> list[Row]:
    """All rows of that name, in order of their indexes; those that are to be removed too."""
    found: dict[int, dict[str, str]] = {}
    for key, value in fields.items():
        head, _, rest = key.removeprefix(f"{name}.").partition(".") if key.startswith(f"{name}.") else ("", "", "")
        if rest and head.isdecimal() and len(head) <= 6:
            found.setdefault(int(head), {})[rest] = value
    return [Row(f"{name}.{index}", index, found[index]) for index in sorted(found)[:_MOST_ROWS]]


def filled_rows(fields: Fields, name: str) -> list[Row]:
    """All rows in which anything is written: those to show again."""
    return [row for row in rows(fields, name) if not row.is_blank(*(row.values.keys() - _CHOSEN_ALREADY))]


def kept_rows(fields: Fields, name: str) -> list[Row]:
    """Those that are not to be removed."""
    return [row for row in rows(fields, name) if not row.has("remove")]


def put(fields: dict[str, str], name: str, index: int, values: Mapping[str, Any]) -> None:
    """A row: None and False are left out, True is a ticked box."""
    for key, value in values.items():
        if value is not None and value is not False:
            fields[f"{name}.{index}.{key}"] = ON if value is True else str(value)


def given(**values: str | None) -> dict[str, str]:
    """Those that are not empty."""
    return {name: value for name, value in values.items() if value}


def at_fields(draft: Draft, problems: Iterable[Problem]) -> dict[str, list[str]]:
    """Sentences by field; those that belong to no field stand under the empty name, with their place."""
    found: dict[str, list[str]] = {}
    for name, sentence in draft.problems:
        found.setdefault(name, []).append(sentence)
    for problem in problems:
        name = _field_of(draft.places, problem.where)
        sentence = problem.message if name or not problem.where else str(problem)
        found.setdefault(name, []).append(sentence)
    return found


def place(*path: str | int) -> str:
    parts: FilePath = path
    return format_path(parts)


def _field_of(places: Mapping[str, str], where: str) -> str:
    """The field of the place, else of what the place is in, else of the first thing in it."""
    inside = [known for known in places if where == known or where.startswith((f"{known}.", f"{known}["))]
    if inside:
        return places[max(inside, key=len)]
    within = [known for known in places if known.startswith((f"{where}.", f"{where}["))] if "[" in where else []
    return places[within[0]] if within else ""
