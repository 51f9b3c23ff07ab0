"""`$filter` of OData 3 as far as clients of this project use it: comparisons, `and`, `or`, `not`, three functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from connectors.onec.simulator_state import JSON

Test = Callable[[JSON], bool]
_TOKEN = re.compile(
    r"\s*(?:(?P<datetime>datetime'(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})')|(?P<guid>guid'([0-9a-fA-F-]{36})')"
    r"|(?P<text>'((?:[^']|'')*)')|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[^\W\d]\w*(?:/\w+)*)|(?P<mark>[(),]))"
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "substringof": lambda part, whole: part in whole,
    "startswith": lambda whole, part: whole.startswith(part),
    "endswith": lambda whole, part: whole.endswith(part),
}


class FilterError(Exception):
    """What 1C answers with code 14."""


def parse_filter(text: str) -> Test:
    """Raises FilterError. A field that a row does not have makes a comparison false, as seen live."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, Any]] = []
        position = 0
        text = text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise FilterError(f"Ошибка разбора выражения отбора в позиции {position}")
            kind = str(match.lastgroup)
            value: Any = match[kind]
            if kind == "number":
                value = float(value)
            elif kind != "word" and kind != "mark":
                value = re.sub(r"^\w*'|'$", "", value).replace("''", "'")
                value = value.lower() if kind == "guid" else value
            self._tokens.append((kind, value))
            position = match.end()
        self._at = 0

    def parse(self) -> Test:
        test = self._either()
        if self._at < len(self._tokens):
            raise FilterError("Лишний текст в выражении отбора")
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("word", "or"):
            tests.append(self._both())
        return lambda row: any(test(row) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._take("word", "and"):
            tests.append(self._one())
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._take("word", "not"):
            test = self._one()
            return lambda row: not test(row)
        if self._take("mark", "("):
            test = self._either()
            self._expect("mark", ")")
            return test
        for name, function in _FUNCTIONS.items():
            if self._take("word", name):
                return self._call(function)
        left = self._operand()
        operator = _OPERATORS.get(self._expect("word"))
        if operator is None:
            raise FilterError("Неизвестная операция в выражении отбора")
        right = self._operand()

        def compare(row: JSON) -> bool:
            try:
                return operator(left(row), right(row))
            except (KeyError, TypeError):
                return False

        return compare

    def _call(self, function: Callable[[str, str], bool]) -> Test:
        self._expect("mark", "(")
        first = self._operand()
        self._expect("mark", ",")
        second = self._operand()
        self._expect("mark", ")")
        return lambda row: function(str(first(row)), str(second(row)))

    def _operand(self) -> Callable[[JSON], Any]:
        if self._at >= len(self._tokens):
            raise FilterError("Выражение отбора не закончено")
        kind, value = self._tokens[self._at]
        self._at += 1
        if kind == "mark":
            raise FilterError("Ожидалось значение в выражении отбора")
        if kind != "word":
            return lambda row: value
        if value in ("true", "false"):
            return lambda row: value == "true"
        return lambda row: row[value]

    def _take(self, kind: str, value: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, value):
            self._at += 1
            return True
        return False

    def _expect(self, kind: str, value: str | None = None) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise FilterError("Ошибка в выражении отбора")
        found = str(self._tokens[self._at][1])
        if value is not None and found != value:
            raise FilterError("Ошибка в выражении отбора")
        self._at += 1
        return found
