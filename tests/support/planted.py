"""Values that must be nowhere: in which forms they may hide, and the search of a whole database for them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

import psycopg
from psycopg import sql

from connectors.http import encode_json

_ENCODINGS = ("utf-8", "cp1251", "utf-16-le")


def forms(value: str) -> set[str]:
    """How a value looks as it is, in capitals, url-encoded, in base64 (at each of its three offsets), in hex, in JSON;
    all in lower case but for base64, whose case matters."""
    escaped = json.dumps(value)[1:-1].lower()
    found = {value.lower(), escaped, escaped.replace("\\", "\\\\"), encode_json(value).decode()[1:-1].lower()}
    for encoding in _ENCODINGS:
        content = value.encode(encoding)
        found |= {content.hex(), quote(content, safe="").lower(), quote_plus(content).lower()}
        for offset in range(3):
            # What the neighbours have a part in is left out at both ends.
            text = base64.b64encode(b"\0" * offset + content).decode().rstrip("=")
            inner = text[(0, 2, 3)[offset] : len(text) - (1 if (offset + len(content)) % 3 else 0)]
            found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found


def found_in(text: str, planted: Iterable[str]) -> list[str]:
    """Those of the planted values that the text has in any form."""
    lower = text.lower()
    return [value for value in planted if any(form in lower or form in text for form in forms(value))]


def search_database(url: str, planted: Iterable[str]) -> tuple[dict[str, list[str]], dict[str, int]]:
    """(table -> planted values in it, table -> how many rows were searched), for every table of every schema but
    PostgreSQL's own; each row with all its columns as text, bytea in hex."""
    values = list(planted)
    hits: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            """
            select n.nspname, c.relname
            from pg_class as c
            join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
            order by 1, 2
            """
        ).fetchall()
        for schema, table in tables:
            name = f"{schema}.{table}"
            query = sql.SQL("select t::text from {} as t").format(sql.Identifier(schema, table))
            texts = [row[0] for row in connection.execute(query).fetchall()]
            rows[name] = len(texts)
            if found := found_in("\n".join(texts), values):
                hits[name] = found
    return hits, rows


def assert_nowhere(places: Mapping[str, str], planted: Iterable[str]) -> None:
    """Raises AssertionError naming the place and the planted values in it."""
    values = list(planted)
    hits = {place: found for place, text in places.items() if (found := found_in(text, values))}
    assert not hits, hits
