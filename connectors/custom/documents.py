"""Answers and records as trees. JSON keeps its numbers exact; XML has no DTD, no entities and no network.

A record is stored as JSON text: a JSON record as it is, an XML record as {"xml": "<order>...</order>"}. Where the
definition uses `response`, it is {"response": ..., "at": [...]}: the answer with this record alone, and where it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from lxml import etree

from connectors.http import decode_json, encode_json
from connectors.values.fields import kind

Format = Literal["json", "xml"]
Steps = tuple[str | int, ...]
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Document:
    """One record to be read."""

    record: Any
    """A JSON object, or an element of XML."""
    response: Any = None
    """The answer it came in; the record itself where that was not kept."""

    def variables(self) -> dict[str, Any]:
        """What templates see."""
        record = as_object(self.record) if is_element(self.record) else self.record
        return {"record": record, "response": record if self.response is None else self.response}


@dataclass(frozen=True, slots=True)
class Row:
    """A record of an answer with the text to store."""

    document: Document
    body: str
    content_hash: bytes


def parse(content: bytes, form: Format) -> Any:
    """The tree of an answer. Raises ValueError, one sentence."""
    return decode_json(content) if form == "json" else parse_xml(content)


def parse_xml(content: bytes | str) -> etree._Element:
    """The root element. Raises ValueError: not XML, or XML with a document type."""
    data = content.encode() if isinstance(content, str) else content
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    if b"<!DOCTYPE" in data[:4096].replace(b"\x00", b""):
        raise ValueError("a document type (DTD) is not allowed in XML")
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ValueError(f"not XML: {str(error).splitlines()[0][:200]}") from None
    tree = root.getroottree()
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise ValueError("a document type (DTD) is not allowed in XML")
    if any(isinstance(node, etree._Entity) for node in root.iter()):  # noqa: SLF001
        raise ValueError("entities are not allowed in XML")
    return root


def is_element(value: Any) -> bool:
    return isinstance(value, etree._Element)  # noqa: SLF001


def element_text(element: Any) -> str:
    return "".join(element.itertext()).strip()


def xml_text(element: Any) -> str:
    """The element as text, without a declaration and without what follows it."""
    text: str = etree.tostring(element, encoding="unicode", with_tail=False)
    return text


def as_object(element: Any, depth: int = 0) -> Any:
    """An element as templates see it: children by name (a list where a name comes more than once), attributes as
    `@name`, its own text as `#text`; an element with neither is its text."""
    if depth > _DEEPEST:
        return None
    found: dict[str, Any] = {f"@{etree.QName(name).localname}": value for name, value in element.attrib.items()}
    for child in element:
        name, value = etree.QName(child).localname, as_object(child, depth + 1)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    text = (element.text or "").strip()
    if not found:
        return text
    return {**found, "#text": text} if text else found


Matches = Callable[[Any], Sequence[tuple[Steps, Any]]]


def json_rows(answer: Any, matches: Matches, volatile: Collection[str], keeps_response: bool) -> list[Row | str]:
    """The records of an answer; what is none is a sentence. Raises ValueError if the path fails."""
    places: list[tuple[Steps, Any]] = []
    for steps, found in matches(answer):
        if type(found) is list:  # `$.data` means the items as much as `$.data[*]` does
            places += [((*steps, index), item) for index, item in enumerate(found)]
        else:
            places.append((steps, found))
    frame = _Frame(answer, [steps for steps, _ in places]) if keeps_response else None
    rows: list[Row | str] = []
    for number, (steps, record) in enumerate(places, 1):
        if type(record) is not dict:
            rows.append(f"row {number} is no record: expected an object, got {kind(record)}")
            continue
        try:
            stored: Any = record if frame is None else frame.around(steps, record)
        except (LookupError, TypeError):
            rows.append(f"row {number} lies inside of another one")
            continue
        document = Document(record) if frame is None else Document(record, stored["response"])
        kept = {name: value for name, value in record.items() if name not in volatile}
        rows.append(Row(document, encode_json(stored).decode(), _hash(_sorted(kept))))
    return rows


def xml_rows(answer: Any, matches: Matches, volatile: Collection[str]) -> list[Row | str]:
    """The same of XML."""
    rows: list[Row | str] = []
    for number, (_, element) in enumerate(matches(answer), 1):
        if not is_element(element):
            rows.append(f"row {number} is no record: the path gives text, not an element")
            continue
        text = xml_text(element)
        # Read again alone: paths of fields must find the same now and when the text is mapped.
        record = parse_xml(text)
        rows.append(Row(Document(record), encode_json({"xml": text}).decode(), _xml_hash(text, volatile)))
    return rows


def read_body(body: str) -> Document:
    """The record of a stored text. Raises ValueError."""
    try:
        stored = decode_json(body)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the record is not JSON: {error}") from None
    if type(stored) is not dict:
        raise ValueError(f"expected an object, got {kind(stored)}")
    if type(stored.get("xml")) is str and len(stored) == 1:
        return Document(parse_xml(stored["xml"]))
    if stored.keys() == {"response", "at"}:
        return Document(_follow(stored["response"], stored["at"]), stored["response"])
    return Document(stored)


def plain_body(body: str) -> str:
    """Stored text of an XML record as the JSON that maskers know; other text as it is."""
    try:
        document = read_body(body)
    except ValueError:
        return body
    return encode_json(as_object(document.record)).decode() if is_element(document.record) else body


class _Frame:
    """An answer without its records, to be put around one of them at a time."""

    def __init__(self, answer: Any, places: Sequence[Steps]) -> None:
        self._answer = answer
        self._lists = {steps[:-1] for steps in places if steps and type(steps[-1]) is int}
        self._empty = self._copy(answer, ())

    def around(self, steps: Steps, record: Any) -> dict[str, Any]:
        if not steps or type(steps[-1]) is not int:
            return {"response": self._empty, "at": list(steps)}
        return {"response": self._with(self._empty, steps[:-1], record), "at": [*steps[:-1], 0]}

    def _copy(self, value: Any, at: Steps) -> Any:
        if type(value) is dict:
            return {name: self._copy(item, (*at, name)) for name, item in value.items()}
        if type(value) is list:
            return [] if at in self._lists else [self._copy(item, (*at, n)) for n, item in enumerate(value)]
        return value

    def _with(self, value: Any, steps: Steps, record: Any) -> Any:
        if not steps:
            return [record]
        copied: Any = dict(value) if type(value) is dict else list(value)
        copied[steps[0]] = self._with(value[steps[0]], steps[1:], record)
        return copied


def _follow(value: Any, steps: Any) -> Any:
    try:
        for step in steps:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        raise ValueError("the record is not where it should be in the answer") from None
    return value


def _hash(value: Any) -> bytes:
    return hashlib.sha256(encode_json(value)).digest()


def _sorted(value: Any) -> Any:
    """Answers need not give a record's keys in one order."""
    if type(value) is dict:
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if type(value) is list else value


def _xml_hash(text: str, volatile: Collection[str]) -> bytes:
    record = parse_xml(text)
    for child in list(record):
        if etree.QName(child).localname in volatile:
            record.remove(child)
    return hashlib.sha256(etree.tostring(record, method="c14n")).digest()
