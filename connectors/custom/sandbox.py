"""Jinja2 for expressions that somebody wrote into the settings: `{{ ... }}` and text, no statements, no calls.

What is left of the language cannot loop, so that the work is bounded by the size of the template and of the record.
Every step also looks at the clock and at the size of what it has made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from decimal import Decimal
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_TEMPLATE = 2_000
LONGEST_OUTPUT = 20_000
SECONDS = 0.5
_LARGEST = 200_000
"""Characters or items of any value on the way."""
_FILTERS = (
    "abs", "capitalize", "default", "first", "float", "int", "join", "last", "length", "list", "lower", "map", "reject",
    "rejectattr", "round", "select", "selectattr", "sort", "string", "sum", "title", "trim", "unique", "upper",
)  # fmt: skip
_TESTS = frozenset(
    ("boolean", "defined", "divisibleby", "eq", "even", "false", "float", "ge", "gt", "in", "integer", "le", "lt",
     "mapping", "ne", "none", "number", "odd", "sequence", "string", "true", "undefined")
)  # fmt: skip
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const,
    nodes.Filter, nodes.Test, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Concat, nodes.Slice,
    nodes.List, nodes.Tuple, nodes.Keyword,
)  # fmt: skip

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


class MissingError(ValueError):
    """There is nothing where an expression points."""


class Template:
    """A checked template. Raises ValueError, one sentence, if it may not be used; so does `render`, and
    MissingError where the record lacks what it needs."""

    def __init__(self, source: str, names: frozenset[str]) -> None:
        """`names` are the variables that there will be."""
        if len(source) > LONGEST_TEMPLATE:
            raise ValueError(f"a template has at most {LONGEST_TEMPLATE} characters")
        try:
            tree = _environment.parse(source)
            self.names = _check(tree, names)
            self._template = _environment.from_string(tree)
        except TemplateError as error:
            raise ValueError(f"not a template: {error.message or type(error).__name__}") from None
        except RecursionError:
            raise ValueError("not a template: nested too deeply") from None

    def render(self, values: Mapping[str, Any]) -> str:
        """The text, without spaces around it."""
        token = _deadline.set(time.monotonic() + SECONDS)
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(values):
                _look_at_the_clock()
                size += len(part)
                if size > LONGEST_OUTPUT:
                    raise SecurityError(f"the template makes more than {LONGEST_OUTPUT} characters")
                parts.append(part)
        except UndefinedError as error:
            raise MissingError(error.message or "there is no such value") from None
        except TemplateError as error:
            raise ValueError(error.message or "the template fails") from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            # What filters and operators raise where a value is none that they take.
            raise ValueError(f"the template fails: {type(error).__name__}") from None
        finally:
            _deadline.reset(token)
        return "".join(parts).strip()


class _Environment(ImmutableSandboxedEnvironment):
    """No attribute of any Python object: what follows a dot is a key."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%"))

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        _look_at_the_clock()
        if type(obj) is dict and type(argument) is str and argument in obj:
            return obj[argument]
        if type(obj) in (list, tuple, str) and (type(argument) is int or isinstance(argument, slice)):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(f"there is no item {argument}")
        if isinstance(obj, Undefined):
            return self.undefined(obj._undefined_message or f"{obj._undefined_name!r} is undefined")  # noqa: SLF001
        return self.undefined(f"there is no {str(argument)[:60]!r}", obj=obj, name=str(argument)[:60])

    def is_safe_callable(self, obj: Any) -> bool:
        return False

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _look_at_the_clock()
        if operator in ("*", "%") and not (_is_number(left) and _is_number(right)):
            raise SecurityError(f"{operator} takes numbers alone")
        return _limited(super().call_binop(context, operator, left, right))


def _check(tree: nodes.Template, names: frozenset[str]) -> frozenset[str]:
    """The variables that are used."""
    for node in tree.find_all(nodes.Node):
        if isinstance(node, nodes.Call):
            raise ValueError("a template calls nothing: use a filter, such as {{ record.name | trim }}")  # noqa: TRY004
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise ValueError(f"{node.attr} is not allowed in a template")
        if isinstance(node, nodes.Filter) and node.name not in _environment.filters:
            raise ValueError(f"there is no filter {node.name}; known: {', '.join(sorted(_environment.filters))}")
        if isinstance(node, nodes.Test) and node.name not in _TESTS:
            raise ValueError(f"there is no test {node.name}; known: {', '.join(sorted(_TESTS))}")
        if not isinstance(node, _NODES):
            raise ValueError("a template holds text and {{ expressions }} alone, no {% statements %}, no **")  # noqa: TRY004
    used = frozenset(node.name for node in tree.find_all(nodes.Name))
    if unknown := sorted(used - names):
        raise ValueError(f"there is no variable {unknown[0]}; known: {', '.join(sorted(names))}")
    return used


def _look_at_the_clock() -> None:
    if time.monotonic() > _deadline.get():
        raise SecurityError(f"the template takes longer than {SECONDS:g} s")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float, Decimal)


def _limited(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict) and len(value) > _LARGEST:
        raise SecurityError(f"a value has more than {_LARGEST} characters or items")
    if isinstance(value, int) and value.bit_length() > 256:
        raise SecurityError("a number is too large")
    return value


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, with its result looked at."""

    @wraps(function)
    def guarded(*arguments: Any, **named: Any) -> Any:
        _look_at_the_clock()
        for argument in (*arguments, *named.values()):
            _limited(argument)
        return _limited(function(*arguments, **named))

    return guarded


def _replace(value: Any, old: Any, new: Any) -> str:
    """Like str.replace."""
    text, old, new = str(value), str(old), str(new)
    if len(text) + text.count(old) * len(new) > _LARGEST:
        raise SecurityError(f"a value has more than {_LARGEST} characters or items")
    return text.replace(old, new)


def _split(text: Any, mark: str | None = None) -> list[str]:
    """Like str.split; `{{ record.name | split(' ') | first }}`."""
    return str(text).split(mark)


def _join(values: Any, between: Any = "", attribute: str | None = None) -> str:
    """The items as one text; of objects that `attribute` of each."""
    items = [item if attribute is None else _environment.getitem(item, attribute) for item in values]
    texts, mark = [str(_written(item)) for item in items], str(between)
    if sum(map(len, texts)) + len(texts) * len(mark) > _LARGEST:
        raise SecurityError(f"a value has more than {_LARGEST} characters or items")
    return mark.join(texts)


def _written(value: Any) -> Any:
    """What an expression's value looks like: null is nothing, true and false as in JSON."""
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    return value


def _open() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, finalize=_written, optimized=False, autoescape=False)
    environment.globals.clear()
    known = {name: _guarded(FILTERS[name]) for name in _FILTERS}
    environment.filters = known | {"replace": _guarded(_replace), "split": _guarded(_split), "join": _guarded(_join)}
    environment.tests = {name: test for name, test in environment.tests.items() if name in _TESTS}
    return environment


_environment = _open()
