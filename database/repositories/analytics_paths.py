"""The ways that orders take: distinct paths (marts.agg_variants), and the orders behind a path or a transition.

Orders are found by their path: the paths with a transition are few, and an index leads from a path to its orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from database.connection import Connection
from database.repositories.analytics import Rows, rows_of

VARIANT_KEY = ("orders", "project_id", "is_urgent", "is_ended", "variant_id")
"""Pages of variants go by it: the most frequent first."""


@dataclass(frozen=True, slots=True)
class Variants:
    """Which paths; what is None does not matter."""

    projects: Sequence[str]
    is_urgent: bool | None = None
    is_ended: bool | None = None
    group: str | None = None
    """Paths that pass this status group."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path of normal or of urgent orders, and how many took it."""

    variant_id: str
    is_urgent: bool
    orders: int
    status_path: str = ""
    """To read; only where it is asked for by name."""


async def variants(
    connection: Connection,
    filter: Variants,  # noqa: A002 - what it is
    *,
    after: Sequence[Any] | None = None,
    limit: int,
) -> Rows:
    """Paths of the filter, those of most orders first. Raises NotBuiltError."""
    conditions = [sql.SQL("t.project_id = any(%(projects)s)")]
    values: dict[str, Any] = {"projects": list(filter.projects), "limit": limit, "group": filter.group}
    if filter.is_urgent is not None:
        conditions.append(sql.SQL("t.is_urgent = %(is_urgent)s"))
    if filter.is_ended is not None:
        conditions.append(sql.SQL("t.is_ended = %(is_ended)s"))
    if filter.group is not None:
        conditions.append(_PASSES)
    if after is not None:
        conditions.append(_AFTER)
    query = _VARIANTS.format(sql.SQL(" and ").join(conditions))
    named = {f"after_{name}": value for name, value in zip(VARIANT_KEY, after or (), strict=after is not None)}
    return await rows_of(
        connection, query, {**values, "is_urgent": filter.is_urgent, "is_ended": filter.is_ended, **named}
    )


_PASSES = sql.SQL(
    """
    t.status_ids && array(
        select d.status_id from marts.dim_statuses as d
        where d.project_id = t.project_id and d.status_group_id = %(group)s
    )
    """
)
_AFTER = sql.SQL(
    """
    t.orders <= %(after_orders)s::bigint and (-t.orders, t.project_id, t.is_urgent, t.is_ended, t.variant_id)
        > (-%(after_orders)s::bigint, %(after_project_id)s, %(after_is_urgent)s, %(after_is_ended)s,
           %(after_variant_id)s)
    """
)
_VARIANTS = sql.SQL(
    """
    select t.project_id, t.is_urgent, t.is_ended, t.variant_id, t.status_path, t.status_ids, t.orders, t.orders_share,
        t.median_elapsed_seconds, t.p90_elapsed_seconds, t.median_working_seconds, t.p90_working_seconds,
        t.cycles, t.median_cycle_seconds
    from marts.agg_variants as t
    where {}
    order by t.orders desc, t.project_id, t.is_urgent, t.is_ended, t.variant_id
    limit %(limit)s
    """
)


async def paths_with(
    connection: Connection,
    project_id: str,
    from_status: str,
    to_status: str,
    is_urgent: bool | None,
    *,
    since: Path | None = None,
    limit: int,
) -> list[Path]:
    """Paths in which one status follows straight on another ('': the path begins with `to_status`).

    The most frequent first; `since`: this one and those after it. Raises NotBuiltError.
    """
    values = {
        "project": project_id, "from": from_status, "to": to_status, "is_urgent": is_urgent, "limit": limit,
        "since_orders": since.orders if since else None, "since_variant": since.variant_id if since else None,
        "since_urgent": since.is_urgent if since else None,
    }  # fmt: skip
    return [Path(**row) for row in await rows_of(connection, _WITH_TRANSITION, values)]


# chr(31), the unit separator, is in no id. Looking for a text is many times as fast as for a pair in an array.
_WITH_TRANSITION = sql.SQL(
    """
    select t.variant_id, t.is_urgent, sum(t.orders)::bigint as orders
    from marts.agg_variants as t
    where t.project_id = %(project)s
        and (%(is_urgent)s::boolean is null or t.is_urgent = %(is_urgent)s)
        and case
            when %(from)s = '' then t.status_ids[1] = %(to)s
            else strpos(
                chr(31) || array_to_string(t.status_ids, chr(31)) || chr(31),
                chr(31) || %(from)s || chr(31) || %(to)s || chr(31)
            ) > 0
        end
    group by t.variant_id, t.is_urgent
    having %(since_orders)s::bigint is null
        or (-sum(t.orders), t.variant_id, t.is_urgent)
            >= (-%(since_orders)s::bigint, %(since_variant)s::text, %(since_urgent)s::boolean)
    order by orders desc, t.variant_id, t.is_urgent
    limit %(limit)s
    """
)


async def paths_named(connection: Connection, project_id: str, variant_id: str, is_urgent: bool | None) -> list[Path]:
    """One path of a project, of its normal and its urgent orders; nothing if no order took it."""
    query = sql.SQL(
        """
        select t.variant_id, t.is_urgent, max(t.status_path) as status_path, sum(t.orders)::bigint as orders
        from marts.agg_variants as t
        where t.project_id = %(project)s and t.variant_id = %(variant)s
            and (%(is_urgent)s::boolean is null or t.is_urgent = %(is_urgent)s)
        group by t.variant_id, t.is_urgent
        order by orders desc, t.is_urgent
        """
    )
    values = {"project": project_id, "variant": variant_id, "is_urgent": is_urgent}
    return [Path(**row) for row in await rows_of(connection, query, values)]


async def orders_of(
    connection: Connection, project_id: str, paths: Sequence[Path], *, after: str | None, limit: int
) -> Rows:
    """Orders that took one of these paths (few), path by path in the order given, then by order number.

    `after`: orders of the first path come after this one. Raises NotBuiltError.
    """
    values = {
        "project": project_id,
        "variants": [path.variant_id for path in paths],
        "urgent": [path.is_urgent for path in paths],
        "after": after or "",
        "limit": limit,
    }
    return await rows_of(connection, _ORDERS, values)


_ORDERS = sql.SQL(
    """
    with found as (
        select paths.*, given.place
        from unnest(%(variants)s::text[], %(urgent)s::boolean[])
            with ordinality as given (variant_id, is_urgent, place)
        cross join lateral (
            select p.order_id, p.variant_id, p.is_urgent, p.status_names, p.elapsed_seconds, p.working_seconds
            from intermediate.int_orders__paths as p
            where p.project_id = %(project)s and p.variant_id = given.variant_id and p.is_urgent = given.is_urgent
                and p.order_id > case when given.place = 1 then %(after)s else '' end
            order by p.order_id
            limit %(limit)s
        ) as paths
        order by given.place, paths.order_id
        limit %(limit)s
    )

    select found.order_id, found.variant_id, found.is_urgent, found.status_names,
        found.elapsed_seconds, found.working_seconds,
        latest.last_status_id, latest.last_status_name, latest.last_changed_at, latest.is_closed
    from found
    left join intermediate.int_orders__latest as latest
        on latest.project_id = %(project)s and latest.order_id = found.order_id
    order by found.place, found.order_id
    """
)
