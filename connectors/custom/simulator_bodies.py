"""How Orchard writes its answers: the same rows in JSON and in XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from lxml import etree

from connectors.http import encode_json

_ONE = {"orders": "order", "sales": "sale", "clients": "client"}
_JSON, _XML = "application/json", "application/xml"
Row = Mapping[str, Any]


def list_body(form: str, name: str, rows: Sequence[Row], *, total: int, token: str) -> tuple[bytes, str]:
    """(body, media type) of a page."""
    if form == "json":
        meta = {"total": total, "next": token or None}
        return encode_json({"meta": meta, "data": [_json(row) for row in rows]}), _JSON
    root = etree.Element(name, total=str(total))
    if token:
        root.set("next", token)
    root.extend(_xml(_ONE[name], row) for row in rows)
    return _written(root), _XML


def one_body(form: str, name: str, row: Row) -> tuple[bytes, str]:
    """Of a single object."""
    if form == "json":
        return encode_json({"data": _json(row)}), _JSON
    return _written(_xml(_ONE[name], row)), _XML


def webhook_body(form: str, name: str, row: Row) -> tuple[bytes, str]:
    """What Orchard sends when a row has changed."""
    if form == "json":
        return encode_json({"event": f"{_ONE[name]}.changed", _ONE[name]: _json(row)}), _JSON
    root = etree.Element("event", type=f"{_ONE[name]}.changed")
    root.append(_xml(_ONE[name], row))
    return _written(root), _XML


def _json(row: Row) -> dict[str, Any]:
    """Amounts are numbers in JSON; a state is an object."""
    written = {key: Decimal(value) if key in ("total", "sum") else value for key, value in row.items()}
    return written | ({"state": {"code": row["state"]}} if "state" in row else {})


def _xml(tag: str, row: Row) -> Any:
    """The id is an attribute; amounts have a decimal comma; what is empty is left out."""
    element = etree.Element(tag, id=str(row["id"]))
    for key, value in row.items():
        if key == "id" or value is None or value == "":
            continue
        child = etree.SubElement(element, key)
        if isinstance(value, Mapping):
            for inner, text in value.items():
                etree.SubElement(child, inner).text = str(text)
        elif isinstance(value, bool):
            child.text = "true" if value else "false"
        else:
            child.text = str(value).replace(".", ",") if key in ("total", "sum") else str(value)
    return element


def _written(root: Any) -> bytes:
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return written
