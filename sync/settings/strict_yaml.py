"""YAML as people mean it: the reader of a value decides its type, not the spelling of the value.

YAML 1.1 turns `16:00` into 960, `no` into false, `2025-01-01` into a date and `010` into 8. Here every scalar stays the
text that was written (`null`, `~` and nothing at all are None), keys are text, a key given twice is an error, and
anchors, aliases and merge keys (`<<`) work within limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sync.settings.problems import Problem, SettingsError

MAX_CHARACTERS = 4_000_000
MAX_NODES = 200_000
"""Aliases counted each time: a small file must not become a large tree."""
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")}


class Plain(str):
    """A scalar that was written without quotes."""

    __slots__ = ()


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  every scalar is text


def load(text: str, source: str) -> tuple[Any, list[Problem]]:
    """The file as dicts, lists, `str` (quoted), `Plain` and None, and its duplicate keys.

    `source` names the file in problems. Raises SettingsError with file and line if the text is not YAML at all.
    """
    if len(text) > MAX_CHARACTERS:
        raise SettingsError([Problem(source, f"longer than {MAX_CHARACTERS:,} characters: not a settings file")])
    text = text.removeprefix("\ufeff")
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise SettingsError([Problem(f"{source}:{line}", f"not YAML: {reason}")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reason = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise SettingsError([Problem(f"{source}:{line}", f"not YAML: {reason}")]) from error
    except RecursionError as error:
        raise SettingsError([Problem(source, "nested too deeply")]) from error
    finally:
        if loader is not None:
            loader.dispose()
    reader = _Reader(source)
    try:
        return (None if node is None else reader.read(node)), reader.problems
    except RecursionError as error:
        raise SettingsError([Problem(source, "nested too deeply")]) from error


def natural(value: Any) -> Any:
    """What YAML 1.2 makes of unquoted scalars (numbers, true, false), for parts whose types nobody here knows."""
    if isinstance(value, dict):
        return {str(key): natural(item) for key, item in value.items()}
    if isinstance(value, list):
        return [natural(item) for item in value]
    if not isinstance(value, Plain):
        return value
    if value in ("true", "false"):
        return value == "true"
    if re.fullmatch(r"[-+]?(0|[1-9][0-9]{0,17})", value):
        return int(value)
    if re.fullmatch(r"[-+]?[0-9]+\.[0-9]+([eE][-+]?[0-9]{1,2})?", value):
        return float(value)
    return str(value)


def as_text(value: Any) -> Any:
    """The same tree with ordinary strings."""
    if isinstance(value, dict):
        return {str(key): as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return str(value) if isinstance(value, Plain) else value


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._nodes = 0
        self._open: set[int] = set()

    def read(self, node: Node) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise SettingsError([self._problem(node, f"more than {MAX_NODES:,} values, aliases counted each time")])
        if id(node) in self._open:
            raise SettingsError([self._problem(node, "an alias inside of what it stands for")])
        if node.tag not in _TAGS:
            self.problems.append(self._problem(node, f"tags such as {node.tag!r} are not supported"))
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.read(item) for item in node.value]
            assert isinstance(node, MappingNode)
            return self._mapping(node)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: ScalarNode) -> str | None:
        text = str(node.value)
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            self.problems.append(self._problem(node, "text that cannot be stored (NUL or half a character)"))
            return None
        if node.style is not None:
            return text
        return None if text in ("", "~", "null", "Null", "NULL") else Plain(text)

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.problems.append(self._problem(key_node, "a key must be text"))
                continue
            if key_node.value == "<<" and key_node.style is None:
                for base in self._bases(value_node):
                    merged = {**base, **merged}
                continue
            key = str(key_node.value)
            if key in own:
                reason = f'key "{key}" is given twice, first on line {lines[key]}'
                self.problems.append(self._problem(key_node, reason))
                continue
            lines[key] = key_node.start_mark.line + 1
            own[key] = self.read(value_node)
        return {**merged, **own}

    def _bases(self, node: Node) -> Iterator[dict[str, Any]]:
        for item in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(item, MappingNode):
                yield self.read(item)
            else:
                self.problems.append(self._problem(item, "<< takes a mapping or a list of mappings"))

    def _problem(self, node: Node, message: str) -> Problem:
        return Problem(f"{self.source}:{node.start_mark.line + 1}", message)
