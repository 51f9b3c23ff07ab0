"""Every row of every mart and intermediate table, read at one instant that two databases can share."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

Rows = Counter[str]

_RELATIONS = """
select format('%s.%s', relnamespace::regnamespace, relname), relkind = 'v', pg_get_viewdef(oid)
from pg_class
where
    relnamespace::regnamespace::text in ('marts', 'intermediate') and relkind in ('r', 'v')
    and relname not like 'live\\_\\_%'
"""


@dataclass(frozen=True)
class Snapshot:
    rows: dict[str, Rows]
    """By relation, each row as text, and how often it is there."""

    def differences(self, other: Snapshot) -> dict[str, Any]:
        """Relations that are not the same: how many rows only one has, and the first of them; empty if all is equal."""
        found: dict[str, Any] = {}
        for name in sorted(self.rows.keys() | other.rows.keys()):
            here, there = self.rows.get(name, Counter()), other.rows.get(name, Counter())
            only_here, only_there = here - there, there - here
            if only_here or only_there or (name in self.rows) != (name in other.rows):
                found[name] = {
                    "only here": (only_here.total(), sorted(only_here)[:4]),
                    "only there": (only_there.total(), sorted(only_there)[:4]),
                }
        return found


def take(url: str, at: datetime) -> Snapshot:
    """Relations in schemas marts and intermediate; what views say of now, they say of `at`."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        views = _views(connection, at)
        names = [name for name, _, _ in connection.execute(_RELATIONS.encode())]
        return Snapshot({name: Counter(_texts(connection, views.get(name, name))) for name in names})


def current_orders(url: str, at: datetime) -> dict[tuple[str, str], str]:
    """What marts.orders_current says at an instant: each order's row as text."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        source = _views(connection, at)["marts.orders_current"]
        query = f"select project_id, order_id, cast(entry as text) from {source} as entry"
        return {(project, order): text for project, order, text in connection.execute(query.encode())}


def _texts(connection: psycopg.Connection[Any], source: str) -> list[str]:
    return [text for (text,) in connection.execute(f"select cast(entry as text) from {source} as entry".encode())]


def _views(connection: psycopg.Connection[Any], at: datetime) -> dict[str, str]:
    """Each view's query in brackets, with an instant in place of the clock, and so the views that it reads."""
    queries = {
        name: text.rstrip().rstrip(";") for name, is_view, text in connection.execute(_RELATIONS.encode()) if is_view
    }
    # `schema.name alias`, or `schema.name` alone, which is its own alias. Keywords are in capitals.
    names = re.compile(rf"\b({'|'.join(map(re.escape, queries))})\b(?!\.)(\s+[a-z_]\w*)?")

    def expanded(name: str) -> str:
        query = queries[name].replace("now()", f"timestamptz '{at.isoformat()}'")
        return f"({names.sub(lambda found: expanded(found[1]) + (found[2] or ' ' + found[1].split('.')[1]), query)})"

    return {name: expanded(name) for name in queries}
