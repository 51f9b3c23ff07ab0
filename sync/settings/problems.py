"""What is wrong with a settings file: one line per problem, each naming the place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from sync.settings.words import listing

FilePath = tuple[str | int, ...]
"""Place in a settings file: ("projects", 0, "sla", 2, "limit")."""

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Problem:
    where: str
    """Path in the file, `projects[0].sla[2].limit`, or file and line, `settings.yaml:7`."""
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class SettingsError(Exception):
    """A settings file that cannot be applied. Its text is one line per problem; nothing was changed."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def format_path(path: FilePath) -> str:
    """`projects[0].sla[2].limit`; keys that are no plain words are quoted: `groups["3"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part[:1].isalpha() and all(letter.isalnum() or letter in "_-" for letter in part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def refusal(reason: str, value: Any = None) -> PydanticCustomError:
    """The error that a validator raises: what was expected and, unless it may be a secret, what was there."""
    return PydanticCustomError("settings", "{reason}", {"reason": reason, "got": quoted(value)})


def quoted(value: Any) -> str | None:
    """A value as an error message shows it."""
    if value is None:
        return None
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    text = str(value)
    return json.dumps(text if len(text) <= _LONGEST else text[:_LONGEST] + "…", ensure_ascii=False)


def explain(error: Any, *, show_value: bool) -> str:
    """One sentence for one error of pydantic (an item of `ValidationError.errors()`)."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "missing":
        return "required"
    if kind == "settings":
        return _with_value(str(context["reason"]), context["got"] if show_value else None)
    expected = {
        "model_type": "expected a mapping",
        "model_attributes_type": "expected a mapping",
        "dict_type": "expected a mapping",
        "list_type": "expected a list",
        "tuple_type": "expected a list",
        "string_type": "expected text",
        "int_type": "expected a whole number",
        "int_parsing": "expected a whole number",
        "int_from_float": "expected a whole number",
        "float_type": "expected a number",
        "float_parsing": "expected a number",
        "bool_type": "expected true or false",
        "bool_parsing": "expected true or false",
    }.get(kind)
    if kind == "literal_error":
        expected = "expected " + str(context["expected"]).replace("'", "")
    if expected is None:
        message = str(error["msg"]).removeprefix("Value error, ")
        expected = message[:1].lower() + message[1:]
    return _with_value(expected, (quoted(value) or "nothing") if show_value else None)


def unknown_key(known: Iterable[str]) -> str:
    return f"unknown key; expected {listing(sorted(known), 'or')}"


def _with_value(text: str, value: str | None) -> str:
    return text if value is None else f"{text}, got {value}"
