"""How a definition points into an answer: JSONPath, XPath or a Jinja2 template, each checked when it is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonpath import JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from lxml import etree

from connectors.custom.documents import Document, element_text, is_element
from connectors.custom.sandbox import MissingError, Template

LONGEST = 1_000
VARIABLES = {"json": frozenset(("record", "response")), "xml": frozenset(("record",))}


class _Paths(JSONPathEnvironment):
    max_recursion_depth = 100


_paths = _Paths()
for _name in ("match", "search"):
    # A regular expression can take for ever.
    del _paths.function_extensions[_name]


@dataclass(frozen=True)
class Expression:
    """One compiled expression; `text` is as it was written."""

    text: str
    kind: str
    """jsonpath, xpath or template"""
    compiled: Any
    names: frozenset[str] = frozenset()
    """Variables of a template."""

    def value(self, document: Document) -> Any:
        """The first value it finds: a JSON value, or text. Raises MissingError; ValueError if a template fails."""
        if self.kind == "template":
            return self.compiled.render(document.variables())
        for _, found in self.matches(document.record):
            return element_text(found) if is_element(found) else found
        raise MissingError(f"nothing is at {self.text}")

    def matches(self, root: Any) -> list[tuple[tuple[str | int, ...], Any]]:
        """Everything the path finds below `root`: (where, what); XML has no where. Raises ValueError."""
        if self.kind == "xpath":
            found = self.compiled(root)
            return [((), item) for item in found] if isinstance(found, list) else [((), _plain(found))]
        try:
            return [(tuple(match.parts), match.obj) for match in self.compiled.finditer(root)]
        except JSONPathError as error:
            raise ValueError(f"the path fails: {_short(error)}") from None


def compile_field(text: str, form: str, namespaces: Mapping[str, str]) -> Expression:
    """An expression that gives a field. Raises ValueError, one sentence."""
    if "{{" in text or "{%" in text:
        template = Template(text, VARIABLES[form])
        return Expression(text, "template", template, template.names)
    return compile_path(text, form, namespaces)


def compile_path(text: str, form: str, namespaces: Mapping[str, str]) -> Expression:
    """A JSONPath or, for XML, an XPath. Raises ValueError, one sentence."""
    if len(text) > LONGEST:
        raise ValueError(f"a path has at most {LONGEST} characters")
    if form == "xml":
        try:
            xpath = etree.XPath(text, namespaces=dict(namespaces) or None, regexp=False, smart_strings=False)
        except etree.XPathError as error:
            raise ValueError(f"not an XPath: {_short(error)}") from None
        return Expression(text, "xpath", xpath)
    if not text.startswith("$"):
        raise ValueError("expected a JSONPath such as $.data.id, or a template such as {{ record.id }}")
    if "=~" in text:
        raise ValueError("regular expressions are not allowed in a path")
    try:
        return Expression(text, "jsonpath", _paths.compile(text))
    except JSONPathError as error:
        raise ValueError(f"not a JSONPath: {_short(error)}") from None


def _plain(found: Any) -> Any:
    """XPath's numbers are floats; 7.0 is 7."""
    return int(found) if isinstance(found, float) and found.is_integer() else found


def _short(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
