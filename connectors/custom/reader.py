"""Reads a mapping of the settings key by key; what is wrong is noted with its path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from connectors.values.fields import kind

T = TypeVar("T")
LONGEST = 2_000


class Reader:
    """The mapping at `path`. Whatever is missing or of a wrong type reads as None, or as empty."""

    def __init__(self, data: Any, path: str, problems: list[tuple[str, str]]) -> None:
        self.path = path
        self.problems = problems
        if data is not None and type(data) is not dict:
            problems.append((path, f"expected a mapping, got {kind(data)}"))
        self.data: dict[str, Any] = data if type(data) is dict else {}
        self._children: dict[str, Reader] = {}

    def problem(self, key: str, message: str) -> None:
        self.problems.append((f"{self.path}.{key}", message))

    def has(self, key: str) -> bool:
        return self.data.get(key) is not None

    def at(self, key: str) -> Reader:
        """The mapping under a key."""
        if key not in self._children:
            self._children[key] = Reader(self.data.get(key), f"{self.path}.{key}", self.problems)
        return self._children[key]

    def names(self, key: str) -> list[str]:
        """The keys of the mapping under a key."""
        return list(self.at(key).data)

    def only(self, *known: str) -> None:
        """Note keys that are not among these."""
        for key in self.data:
            if key not in known:
                self.problem(key, f"unknown key; known: {', '.join(known)}" if known else "unknown key")

    def text(self, key: str, *, required: bool = False) -> str | None:
        value = self.data.get(key)
        if value is None or value == "":
            if required:
                self.problem(key, "required")
            return None
        if type(value) is bool or not isinstance(value, str | int):
            self.problem(key, f"expected a text, got {kind(value)}")
            return None
        if len(str(value)) > LONGEST:
            self.problem(key, f"expected at most {LONGEST} characters")
            return None
        return str(value)

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        value = self.data.get(key)
        if value is None:
            return []
        if type(value) is not list or not all(type(item) is str and item for item in value):
            self.problem(key, "expected a list of texts")
            return []
        return value

    def whole(self, key: str, least: int, most: int) -> int | None:
        value = self.data.get(key)
        if value is None:
            return None
        if type(value) is not int or not least <= value <= most:
            self.problem(key, f"expected a whole number from {least} to {most}")
            return None
        return value

    def flag(self, key: str) -> bool:
        value = self.data.get(key)
        if value is not None and type(value) is not bool:
            self.problem(key, "expected true or false")
        return value is True

    def choice(self, key: str, words: Sequence[str], default: str) -> str:
        value = self.text(key)
        if value is not None and value not in words:
            self.problem(key, f"expected {' or '.join(words)}")
            return default
        return default if value is None else value

    def tried(self, key: str, make: Callable[[], T], instead: Callable[[], T]) -> T:
        """What `make` gives; if it raises ValueError, that is noted and `instead` stands in for it."""
        try:
            return make()
        except ValueError as error:
            self.problem(key, str(error))
            return instead()
