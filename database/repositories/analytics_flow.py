"""Sums of marts.agg_daily_flow: a span of all projects has too many days and stages to add them up elsewhere."""

from __future__ import annotations

from psycopg import sql

from database.connection import Connection
from database.repositories.analytics import Filter, Rows, rows_of


async def by_day(connection: Connection, filter: Filter) -> Rows:  # noqa: A002 - what it is
    """local_date, entered, exited, ended of all stages of the filter, oldest first. Raises NotBuiltError."""
    return await _read(
        connection,
        "select local_date, sum(entered)::bigint as entered, sum(exited)::bigint as exited, sum(ended)::bigint as ended"
        " from cells group by local_date order by local_date",
        filter,
    )


async def by_stage(connection: Connection, filter: Filter) -> Rows:  # noqa: A002
    """Sums of each stage, and its backlog on its project's newest day of the span. Raises NotBuiltError."""
    return await _read(
        connection,
        """
        select project_id, status_group_id, max(status_group_name) as status_group_name,
            sum(entered)::bigint as entered, sum(exited)::bigint as exited, sum(ended)::bigint as ended,
            coalesce(sum(backlog) filter (where local_date = newest), 0)::bigint as backlog
        from (select cells.*, max(local_date) over (partition by project_id) as newest from cells) as cells
        group by project_id, status_group_id
        order by project_id, length(status_group_id), status_group_id
        """,
        filter,
    )


async def backlogs(connection: Connection, filter: Filter, stages: int) -> Rows:  # noqa: A002
    """project_id, status_group_id, status_group_name, local_date, backlog of the stages with most of it, by day."""
    return await _read(
        connection,
        """
        select project_id, status_group_id, max(status_group_name) as status_group_name, local_date,
            sum(backlog)::bigint as backlog
        from cells
        where (project_id, status_group_id) in (
            select project_id, status_group_id from cells group by project_id, status_group_id
            order by sum(backlog) desc, project_id, status_group_id
            limit %(stages)s
        )
        group by project_id, status_group_id, local_date
        order by local_date, project_id, status_group_id
        """,
        filter,
        stages,
    )


async def _read(connection: Connection, select: str, filter: Filter, stages: int | None = None) -> Rows:  # noqa: A002
    """A select from `cells`: the days of the filter."""
    values = {
        "projects": list(filter.projects), "first": filter.first, "last": filter.last, "group": filter.group,
        "is_urgent": filter.is_urgent, "stages": stages,
    }  # fmt: skip
    return await rows_of(connection, _CELLS + sql.SQL(select), values)


_CELLS = sql.SQL(
    """
    with cells as materialized (
        select * from marts.agg_daily_flow
        where project_id = any(%(projects)s)
            and (%(first)s::date is null or local_date >= %(first)s)
            and (%(last)s::date is null or local_date <= %(last)s)
            and (%(group)s::text is null or status_group_id = %(group)s)
            and (%(is_urgent)s::boolean is null or is_urgent = %(is_urgent)s)
    )
    """
)
