"""How many orders there are in a filter, in which state, and how many are left out: by indexes alone."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from database.connection import Connection
from database.repositories.orders import Filter, conditions_of
from database.repositories.shown_orders import open_shown, parts, shown


@dataclass(frozen=True, slots=True)
class Counts:
    orders: int
    ok: int
    near: int
    over: int
    hidden: int = 0
    """More orders that `Filter.hiding` leaves out."""


async def counts(connection: Connection, filter: Filter) -> Counts:  # noqa: A002
    """How many orders there are in the filter, and in each state.

    Raises psycopg.errors.UndefinedTable before the marts have been built.
    """
    conditions, values = conditions_of(filter)
    if filter.projects is not None:
        conditions.append(sql.SQL("o.project_id = any(%(projects)s)"))
    found_parts, hiding = parts(filter.hiding)
    every = sql.SQL(" and ").join(conditions)
    open_part, open_values = open_shown(filter.hiding)
    of_hiding = [part for part in found_parts if not part.is_whole]
    counted = [
        _COUNT.format(conditions=every, of=part.of(sql.SQL("o.project_id")), part=part.orders) for part in of_hiding
    ]
    query = _COUNTS.format(
        conditions=every,
        shown=shown(found_parts),
        is_hiding=sql.SQL("o.project_id = any(%(hiding)s)" if of_hiding else "false"),
        counted=sql.SQL(" union all ").join(counted) if counted else sql.SQL("select 0::bigint as orders"),
        open_shown=open_part,
        states=_STATES,
    )
    values |= hiding | open_values
    row = await (await connection.execute(query, values, prepare=False)).fetchone()
    assert row is not None
    return Counts(**row)


_STATES = sql.SQL(
    """
    count(*) filter (where near_from > now() and over_after >= now()) as ok,
    count(*) filter (where near_from <= now() and over_after >= now()) as near,
    count(*) filter (where over_after < now()) as over
    """
)
# What is shown of projects that leave something out.
_COUNT = sql.SQL(
    """
    select count(*) as orders
    from intermediate.int_orders__latest as o
    where (o.project_id, o.order_id) not in (select project_id, order_id from sync.changed_orders)
        and {conditions} and {of} and {part}
    """
)
# The states are those of open orders with a limit, a small part of all: their own index counts them.
_COUNTS = sql.SQL(
    """
    with live as materialized (
        select o.project_id, o.near_from, o.over_after, {shown} as is_shown
        from intermediate.int_orders__live as o
        where {conditions}
    ),

    every as materialized (
        select count(*) as orders, count(*) filter (where {is_hiding}) as of_hiding
        from intermediate.int_orders__latest as o
        where {conditions}
    ),

    -- Those of them that are among the live ones now. Asking it of every order costs as much as counting them.
    again as materialized (
        select count(*) as orders, count(*) filter (where {is_hiding}) as of_hiding
        from sync.changed_orders as changed
        inner join intermediate.int_orders__latest as o
            on changed.project_id = o.project_id and changed.order_id = o.order_id
        where {conditions}
    ),

    stored as (
        select every.orders - again.orders as orders, every.of_hiding - again.of_hiding as of_hiding
        from every, again
    ),

    counted as materialized (
        select coalesce(sum(orders), 0)::bigint as orders from ({counted}) as parts
    ),

    -- Apart from the live ones, so that several processes may count.
    built as materialized (
        select {states}
        from intermediate.int_orders__latest as o
        where over_after is not null and {conditions} and {open_shown}
    ),

    again_built as materialized (
        select {states}
        from sync.changed_orders as changed
        inner join intermediate.int_orders__latest as o
            on changed.project_id = o.project_id and changed.order_id = o.order_id
        where over_after is not null and {conditions} and {open_shown}
    ),

    written as (select {states} from live where is_shown)

    select
        (select stored.orders - stored.of_hiding + counted.orders from stored, counted)
            + (select count(*) from live where is_shown) as orders,
        built.ok - again_built.ok + written.ok as ok, built.near - again_built.near + written.near as near,
        built.over - again_built.over + written.over as over,
        (select stored.of_hiding - counted.orders from stored, counted)
            + (select count(*) from live where not is_shown) as hidden
    from built, again_built, written
    """
)
