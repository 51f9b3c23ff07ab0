"""Pages of orders as they are now: marts.orders_current by indexes.

The first page of each filter is a range of an index of intermediate.int_orders__latest, project by project. Orders that
were written since (sync.changed_orders) are computed on the spot and take their place among the others. A state is a
range too: an order is near from `near_from` on and over after `over_after`, whatever the time of day.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import psycopg
from psycopg import sql

from database.connection import Connection
from database.repositories.shown_orders import Hiding, parts, shown

State = Literal["ok", "near", "over"]
STATES: tuple[State, ...] = ("over", "near", "ok")
SortBy = Literal["changed", "created", "due"]
"""Last change, creation (in both, an order that has none is the oldest), due time (without one: the last)."""

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

_KEYS: Mapping[SortBy, sql.SQL] = {
    "changed": sql.SQL("changed_key"),
    "created": sql.SQL("created_key"),
    "due": sql.SQL("due_key"),
}
_STATES: Mapping[frozenset[State], sql.SQL] = {
    frozenset(): sql.SQL("false"),
    frozenset({"ok"}): sql.SQL("o.near_from > now() and o.over_after >= now()"),
    frozenset({"near"}): sql.SQL("o.near_from <= now() and o.over_after >= now()"),
    frozenset({"over"}): sql.SQL("o.over_after < now()"),
    frozenset({"ok", "near"}): sql.SQL("o.over_after >= now()"),
    frozenset({"near", "over"}): sql.SQL("o.near_from <= now() and o.over_after is not null"),
    frozenset({"ok", "over"}): sql.SQL("(o.near_from > now() or o.over_after < now()) and o.over_after is not null"),
    frozenset({"ok", "near", "over"}): sql.SQL("o.over_after is not null"),
}


_INSTANT = re.compile(r"-?infinity|\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00( BC)?", re.ASCII)
_NO_CURSOR = "The cursor is not one that was given with a page: begin with the first page."


class CursorError(ValueError):
    """The text is no cursor, or one of another sorting; the message is for the caller."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which orders; what is None does not matter. All parts must hold."""

    projects: Sequence[str] | None = None
    group: str | None = None
    """Of the last status."""
    status: str | None = None
    states: frozenset[State] | None = None
    """One of these. Closed orders, and those without a limit, are in none."""
    is_urgent: bool | None = None
    is_closed: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    """From one instant on and before another. Orders of which the instant is not known are in no period."""
    changed_from: datetime | None = None
    changed_to: datetime | None = None
    order_id: str | None = None
    order_prefix: str | None = None
    hiding: tuple[Hiding, ...] = ()
    """What is left out besides, by project; of each project at most one."""


@dataclass(frozen=True, slots=True)
class Sort:
    """Equal instants go by order number, then by project."""

    by: SortBy = "changed"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Order:
    """A row of marts.orders_current."""

    project_id: str
    order_id: str
    order_created_at: datetime | None
    started_at: datetime | None
    last_status_id: str | None
    last_status_name: str | None
    last_status_group_id: str | None
    last_status_group_name: str | None
    last_changed_at: datetime | None
    is_closed: bool
    closed_at: datetime | None
    is_urgent: bool
    stage_working_seconds: Decimal | None
    sla_limit_seconds: int | None
    sla_state: State | None
    sla_near_at: datetime | None
    sla_due_at: datetime | None
    sla_over_at: datetime | None
    delivery_entered_at: datetime | None
    cycle_rule_id_applied: str | None
    cycle_duration_to_delivery: Decimal | None


@dataclass(frozen=True, slots=True)
class Page:
    orders: list[Order]
    next: str | None
    """Cursor of the page after this one; None if there is none."""
    previous: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Between two rows of a sorting: a page begins after it, or ends before it."""

    sort: Sort
    key: str
    """Text of an instant, which may be infinite."""
    order_id: str
    project_id: str
    is_backward: bool

    def encode(self) -> str:
        values = [self.sort.by, self.sort.descending, self.key, self.order_id, self.project_id, self.is_backward]
        text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str, sort: Sort) -> _Place:
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            by, descending, key, order_id, project_id, is_backward = json.loads(text)
        except (ValueError, TypeError) as error:
            raise CursorError(_NO_CURSOR) from error
        texts = (by, key, order_id, project_id)
        if not all(isinstance(value, str) and "\x00" not in value for value in texts) or not _INSTANT.fullmatch(key):
            raise CursorError(_NO_CURSOR)
        if (by, descending) != (sort.by, sort.descending):
            raise CursorError("The cursor belongs to another sorting: begin with the first page.")
        return cls(sort, key, order_id, project_id, is_backward is True)


async def page(
    connection: Connection,
    filter: Filter,  # noqa: A002 - what it is
    sort: Sort = Sort(),
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page:
    """At most `limit` (1 to MAX_LIMIT) orders: the first, or those beside a `cursor` of the same filter and sorting.

    Each order that stays as it is comes once, however many are written between two pages. Raises CursorError, and
    psycopg.errors.UndefinedTable before the marts have been built.
    """
    limit = min(max(limit, 1), MAX_LIMIT)
    place = None if cursor is None else _Place.decode(cursor, sort)
    is_backward = place is not None and place.is_backward
    descending = sort.descending != is_backward
    conditions, values = conditions_of(filter)
    key = _KEYS[sort.by]
    if filter.states == frozenset({"ok"}) and sort.by == "due":
        conditions.append(sql.SQL("o.due_key > now()"))  # says nothing new, but where in the index they begin
    if place is not None:
        sign = sql.SQL("<") if descending else sql.SQL(">")
        conditions.append(
            sql.SQL(
                "(o.{key}, o.order_id, o.project_id) {sign} (%(key)s::timestamptz, %(key_order)s, %(key_project)s)"
            ).format(key=key, sign=sign)
        )
        values |= {"key": place.key, "key_order": place.order_id, "key_project": place.project_id}
    found_parts, hiding = parts(filter.hiding)
    names = {
        "conditions": sql.SQL(" and ").join(conditions), "key": key,
        "direction": sql.SQL("desc" if descending else "asc"),
    }  # fmt: skip
    query = _PAGE.format(
        projects=_ALL_PROJECTS if filter.projects is None else _GIVEN_PROJECTS,
        shown=shown(found_parts),
        built=sql.SQL(" union all ").join(
            _BUILT.format(of=part.of(sql.SQL("projects.project_id")), part=part.orders, **names) for part in found_parts
        ),
        columns=_COLUMNS,
        **names,
    )
    values |= hiding
    # A plan of its own for each filter: a general one would not know which index fits.
    try:
        found = await connection.execute(query, {**values, "limit": limit + 1}, prepare=False)
    except psycopg.DataError as error:
        if place is None:
            raise
        raise CursorError(_NO_CURSOR) from error
    rows = await found.fetchall()
    has_more = len(rows) > limit
    rows = rows[:limit]
    if is_backward:
        rows.reverse()
    places = [_Place(sort, row.pop("page_key"), row["order_id"], row["project_id"], is_backward=False) for row in rows]
    has_next = has_more or is_backward
    has_previous = has_more if is_backward else place is not None
    return Page(
        orders=[Order(**row) for row in rows],
        next=places[-1].encode() if rows and has_next else None,
        previous=_backward(places[0]).encode() if rows and has_previous else None,
    )


def _backward(place: _Place) -> _Place:
    return _Place(place.sort, place.key, place.order_id, place.project_id, is_backward=True)


def conditions_of(filter: Filter) -> tuple[list[sql.Composable], dict[str, Any]]:  # noqa: A002
    """On `o`, rows of int_orders__latest; and the values they name. The projects are for the caller."""
    values: dict[str, Any] = {"projects": None if filter.projects is None else list(filter.projects)}
    found: list[sql.Composable] = [sql.SQL("true")]

    def add(condition: sql.SQL, **named: Any) -> None:
        found.append(condition)
        values.update(named)

    if filter.group is not None:
        add(sql.SQL("o.last_status_group_id = %(group)s"), group=filter.group)
    if filter.status is not None:
        add(sql.SQL("o.last_status_id = %(status)s"), status=filter.status)
    if filter.states is not None:
        add(_STATES[filter.states])
    if filter.is_urgent is not None:
        add(sql.SQL("o.is_urgent" if filter.is_urgent else "not o.is_urgent"))
    if filter.is_closed is not None:
        add(sql.SQL("o.is_closed" if filter.is_closed else "not o.is_closed"))
    for name, since, until in (
        ("created", filter.created_from, filter.created_to),
        ("changed", filter.changed_from, filter.changed_to),
    ):
        column = sql.Identifier(f"{name}_key")
        if since is not None:
            found.append(sql.SQL("o.{} >= {}").format(column, sql.Placeholder(f"{name}_from")))
            values[f"{name}_from"] = since
        elif until is not None:
            found.append(sql.SQL("o.{} > '-infinity'").format(column))
        if until is not None:
            found.append(sql.SQL("o.{} < {}").format(column, sql.Placeholder(f"{name}_to")))
            values[f"{name}_to"] = until
    if filter.order_id is not None:
        add(sql.SQL("o.order_id = %(order_id)s"), order_id=filter.order_id)
    if filter.order_prefix is not None:
        escaped = filter.order_prefix.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        add(sql.SQL("o.order_id like %(prefix)s"), prefix=escaped + "%")
    return found, values


def _columns() -> sql.Composable:
    """Computed instants may lie beyond the years that Python knows: those are left out."""
    parts: list[sql.Composable] = []
    for name in Order.__slots__:
        column = sql.Identifier(name)
        if name in ("sla_near_at", "sla_due_at", "sla_over_at"):
            parts.append(sql.SQL("case when o.{0} < '9999-12-31' then o.{0} end as {0}").format(column))
        else:
            parts.append(sql.SQL("o.{}").format(column))
    return sql.SQL(", ").join(parts)


_COLUMNS = _columns()
_GIVEN_PROJECTS = sql.SQL("select distinct project_id from unnest(%(projects)s::text[]) as given (project_id)")
# From project to project by the index.
_ALL_PROJECTS = sql.SQL(
    """
    (select project_id from intermediate.int_orders__latest order by project_id limit 1)
    union all
    select next.project_id
    from projects, lateral (
        select project_id from intermediate.int_orders__latest as o
        where o.project_id > projects.project_id order by project_id limit 1
    ) as next
    """
)
# First which orders, then the rows: what is computed at reading is computed of this page alone.
_PAGE = sql.SQL(
    """
    with recursive projects (project_id) as ({projects}),

    live as materialized (
        select o.* from intermediate.int_orders__live as o
        where {conditions} and {shown} and (%(projects)s::text[] is null or o.project_id = any(%(projects)s))
    ),

    listed as materialized (
        select * from (
            {built}
            union all
            select true, {key}, order_id, project_id from live
        ) as found
        order by {key} {direction}, order_id {direction}, project_id {direction}
        limit %(limit)s
    ),

    shown as (
        select o.* from listed
        join intermediate.int_orders__running as o using (project_id, order_id)
        where not listed.is_live
        union all
        select o.* from listed join live as o using (project_id, order_id) where listed.is_live
    )

    select {columns}, o.{key}::text as page_key
    from shown as o
    order by o.{key} {direction}, o.order_id {direction}, o.project_id {direction}
    """
)
# Of the orders as the last build knew them.
_BUILT = sql.SQL(
    """
    select false as is_live, built.*
    from projects
    cross join lateral (
        select o.{key}, o.order_id, o.project_id
        from intermediate.int_orders__latest as o
        where o.project_id = projects.project_id
            and (o.project_id, o.order_id) not in (select project_id, order_id from sync.changed_orders)
            and {conditions} and {part}
        order by o.{key} {direction}, o.order_id {direction}
        limit %(limit)s
    ) as built
    where {of}
    """
)
