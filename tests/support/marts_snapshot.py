"""Every row of every mart and intermediate table, read at one instant that two databases can share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

Rows = Counter[str]

_RELATIONS = """
select relnamespace::regnamespace::text, relname, relkind = 'v'
from pg_class
where
    relnamespace::regnamespace::text in ('marts', 'intermediate') and relkind in ('r', 'v')
order by 1, 2
"""
_CLOCK = "now()"
_CURRENT = "marts.orders_current"
_LIVE = (_CURRENT, "intermediate.int_orders__running", "intermediate.int_orders__live")
"""Views that other views read, with clocks of their own."""


@dataclass(frozen=True)
class Snapshot:
    rows: dict[str, Rows]
    """By relation, each row as text, and how often it is there."""

    def differences(self, other: Snapshot) -> dict[str, Any]:
        """Relations that are not the same: how many rows only one has, and the first of them; empty if all is equal."""
        found: dict[str, Any] = {}
        for name in sorted(self.rows.keys() | other.rows.keys()):
            if name not in self.rows or name not in other.rows:
                found[name] = "is in one of the two only"
                continue
            here, there = self.rows[name] - other.rows[name], other.rows[name] - self.rows[name]
            if here or there:
                found[name] = {
                    "only here": (here.total(), sorted(here)[:4]),
                    "only there": (there.total(), sorted(there)[:4]),
                }
        return found


def take(url: str, at: datetime | None = None) -> Snapshot:
    """Relations in schemas marts and intermediate; what views say of now, they say of `at` (default: now)."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        rows = {}
        for schema, name, is_view in connection.execute(_RELATIONS.encode()).fetchall():
            relation = f"{schema}.{name}"
            source = f"({_defined(connection, relation, at or datetime.now(UTC))})" if is_view else relation
            rows[relation] = Counter(_texts(connection, source))
        return Snapshot(rows)


def current_orders(url: str, at: datetime) -> dict[tuple[str, str], str]:
    """What marts.orders_current says at an instant: each order's row as text."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        query = f"select project_id, order_id, cast(row as text) from ({_defined(connection, _CURRENT, at)}) as row"
        return {(project, order): text for project, order, text in connection.execute(query.encode())}


def _texts(connection: psycopg.Connection[Any], source: str) -> list[str]:
    return [text for (text,) in connection.execute(f"select cast(row as text) from {source} as row".encode())]


def _defined(connection: psycopg.Connection[Any], view: str, at: datetime) -> str:
    """The view's query with an instant in place of the clock."""
    ((definition,),) = connection.execute("select pg_get_viewdef(%s::regclass)", [view])
    query = str(definition).rstrip().rstrip(";")
    for name in _LIVE:
        if name != view and f"{name} " in query:
            query = query.replace(f"{name} ", f"({_defined(connection, name, at)}) ")
    return query.replace(_CLOCK, f"timestamptz '{at.isoformat()}'")
