"""Rows of the aggregate marts: by project, period, group and urgency. Facts are never read here.

Each mart is a small table with one row per cell; a page of it is a range of its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import psycopg
from psycopg import sql

from database.connection import Connection

Grain = Literal["day", "week", "month"]
Rows = list[dict[str, Any]]


class NotBuiltError(Exception):
    """The marts have not been built yet."""


@dataclass(frozen=True, slots=True)
class Mart:
    """A table or view of schema `marts`."""

    name: str
    key: tuple[str, ...]
    """Of a row, beside the grain; pages go by it, in this order."""
    measures: tuple[str, ...]
    period: str | None = None
    """The column with the first date of a period."""
    has_grain: bool = False
    groups: tuple[str, ...] = ()
    """Columns with a status group: the filter looks for one of them."""
    status: str | None = None
    """For marts of statuses: the group is that of the dictionary."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*(("grain",) if self.has_grain else ()), *self.key, *self.measures)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cells; what is None does not matter."""

    projects: Sequence[str]
    grain: Grain = "day"
    first: date | None = None
    """Periods that begin on this date or later..."""
    last: date | None = None
    """...and no later than on this one."""
    group: str | None = None
    is_urgent: bool | None = None


_CELL = ("period_start", "project_id")
_DURATIONS = (
    "orders", "visits",
    *(f"{measure}_{kind}_seconds" for kind in ("working", "elapsed") for measure in ("total", "avg", "median", "p90")),
    "sla_ok", "sla_near", "sla_over",
)  # fmt: skip
_SPREAD = tuple(f"{measure}_{kind}_seconds" for kind in ("elapsed", "working") for measure in ("median", "p90"))

STAGES = Mart(
    "agg_stage_durations", (*_CELL, "status_group_id", "is_urgent"), ("status_group_name", *_DURATIONS),
    "period_start", has_grain=True, groups=("status_group_id",),
)  # fmt: skip
STATUSES = Mart(
    "agg_status_durations", (*_CELL, "status_id", "is_urgent"), ("status_name", *_DURATIONS), "period_start",
    has_grain=True, status="status_id",
)  # fmt: skip
CYCLES = Mart(
    "agg_cycle_durations", (*_CELL, "cycle_rule_id", "is_urgent"), ("cycle_title", *_DURATIONS), "period_start",
    has_grain=True,
)  # fmt: skip
SLA = Mart(
    "rpt_sla_compliance", (*_CELL, "status_group_id", "is_urgent"),
    ("status_group_name", "orders", "sla_ok", "sla_near", "sla_over", "compliance_rate", "over_rate"), "period_start",
    has_grain=True, groups=("status_group_id",),
)  # fmt: skip
SUCCESS = Mart(
    "rpt_success", (*_CELL, "is_urgent"),
    ("orders", "cancelled", "on_time", "late", "without_limit", "on_time_rate"), "period_start", has_grain=True,
)  # fmt: skip
CANCELLATIONS = Mart(
    "rpt_cancellations", (*_CELL, "previous_status_group_id", "is_urgent"),
    ("previous_status_group_name", "exits", "cancellations", "cancellation_rate"), "period_start", has_grain=True,
    groups=("previous_status_group_id",),
)  # fmt: skip
FIRST_PASS = Mart(
    "rpt_first_pass", (*_CELL, "is_urgent"),
    ("orders", "cancelled", "first_pass", "returned", "returns", "first_pass_rate"), "period_start", has_grain=True,
)  # fmt: skip
FLOW = Mart(
    "agg_daily_flow", ("local_date", "project_id", "status_group_id", "is_urgent"),
    ("status_group_name", "entered", "exited", "ended", "backlog"), "local_date", groups=("status_group_id",),
)  # fmt: skip
BOTTLENECKS = Mart(
    "rpt_bottlenecks", (*_CELL, "is_urgent", "bottleneck_rank", "status_group_id"),
    (
        "status_group_name", "orders", "visits", "total_working_seconds", "total_elapsed_seconds", "working_share",
        "elapsed_share", "median_working_seconds", "p90_working_seconds", "sla_over",
    ),
    "period_start", has_grain=True, groups=("status_group_id",),
)  # fmt: skip
AGEING = Mart(
    "rpt_ageing", ("project_id", "status_group_id", "is_urgent", "working_bucket", "age_bucket"),
    (
        "status_group_name", "working_bucket_label", "age_bucket_label", "orders", "sla_ok", "sla_near", "sla_over",
        "max_stage_working_seconds", "oldest_begun_at",
    ),
    groups=("status_group_id",),
)  # fmt: skip
TRANSITIONS = Mart(
    "agg_status_transitions", ("project_id", "from_status_id", "to_status_id", "is_urgent"),
    (
        "from_status_name", "from_status_group_id", "from_status_group_name", "to_status_name", "to_status_group_id",
        "to_status_group_name", "transitions", "orders", *_SPREAD,
    ),
    groups=("from_status_group_id", "to_status_group_id"),
)  # fmt: skip


async def read(
    connection: Connection,
    mart: Mart,
    filter: Filter,  # noqa: A002 - what it is
    *,
    after: Sequence[Any] | None = None,
    limit: int | None = None,
) -> Rows:
    """Rows of the filter in the order of the key: the first `limit`, or those after a row with the key `after`.

    Raises NotBuiltError, and psycopg.DataError if `after` holds no values of the key's types.
    """
    conditions, values = _conditions(mart, filter)
    values["limit"] = limit
    key = sql.SQL(", ").join(sql.Identifier("t", name) for name in mart.key)
    if after is not None:
        places = sql.SQL(", ").join(sql.Placeholder(f"after_{number}") for number in range(len(mart.key)))
        conditions.append(sql.SQL("({}) > ({})").format(key, places))
        values |= {f"after_{at}": value for at, value in enumerate(after)}
    query = sql.SQL("select {columns} from {table} as t where {conditions} order by {key} limit %(limit)s").format(
        columns=sql.SQL(", ").join(sql.Identifier("t", name) for name in mart.columns),
        table=sql.Identifier("marts", mart.name),
        conditions=sql.SQL(" and ").join(conditions),
        key=key,
    )
    return await rows_of(connection, query, values)


async def newest_period(connection: Connection, mart: Mart, filter: Filter) -> date | None:  # noqa: A002
    """The last period of the filter that has rows. Raises NotBuiltError."""
    assert mart.period is not None
    conditions, values = _conditions(mart, filter)
    query = sql.SQL("select max({period}) as newest from {table} as t where {conditions}").format(
        period=sql.Identifier("t", mart.period),
        table=sql.Identifier("marts", mart.name),
        conditions=sql.SQL(" and ").join(conditions),
    )
    rows = await rows_of(connection, query, values)
    newest: date | None = rows[0]["newest"]
    return newest


def _conditions(mart: Mart, filter: Filter) -> tuple[list[sql.Composable], dict[str, Any]]:  # noqa: A002
    """On `t`, rows of the mart; and the values they name."""
    conditions: list[sql.Composable] = [sql.SQL("t.project_id = any(%(projects)s)")]
    values: dict[str, Any] = {"projects": list(filter.projects)}

    def add(condition: sql.Composable, **named: Any) -> None:
        conditions.append(condition)
        values.update(named)

    if mart.has_grain:
        add(sql.SQL("t.grain = %(grain)s"), grain=filter.grain)
    if mart.period is not None:
        period = sql.Identifier("t", mart.period)
        if filter.first is not None:
            add(sql.SQL("{} >= %(first)s").format(period), first=filter.first)
        if filter.last is not None:
            add(sql.SQL("{} <= %(last)s").format(period), last=filter.last)
    if filter.is_urgent is not None:
        add(sql.SQL("t.is_urgent = %(is_urgent)s"), is_urgent=filter.is_urgent)
    if filter.group is not None and mart.groups:
        columns = sql.SQL(", ").join(sql.Identifier("t", name) for name in mart.groups)
        add(sql.SQL("%(group)s in ({})").format(columns), group=filter.group)
    if filter.group is not None and mart.status is not None:
        add(_OF_GROUP.format(sql.Identifier("t", mart.status)), group=filter.group)
    return conditions, values


async def rows_of(connection: Connection, query: sql.SQL | sql.Composed, values: dict[str, Any]) -> Rows:
    """Raises NotBuiltError if a table of the marts is not there."""
    try:
        # A plan of its own for each filter: which range of the key is read differs by it.
        cursor = await connection.execute(query, values, prepare=False)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn) as error:
        raise NotBuiltError from error
    return await cursor.fetchall()


_OF_GROUP = sql.SQL(
    """
    ({}) in (
        select d.status_id from marts.dim_statuses as d
        where d.project_id = t.project_id and d.status_group_id = %(group)s
    )
    """
)


async def groups(connection: Connection, projects: Sequence[str]) -> Rows:
    """Status groups of these projects: project_id, status_group_id, status_group_name, is_cancelled."""
    query = sql.SQL(
        """
        select project_id, status_group_id, max(status_group_name) as status_group_name,
            bool_or(is_cancelled) as is_cancelled
        from marts.dim_statuses
        where project_id = any(%(projects)s) and status_group_id is not null
        group by project_id, status_group_id
        order by project_id, length(status_group_id), status_group_id
        """
    )
    return await rows_of(connection, query, {"projects": list(projects)})


async def default_cycles(connection: Connection, projects: Sequence[str]) -> dict[str, str | None]:
    """The id of each project's default cycle rule."""
    query = sql.SQL(
        "select project_id, default_cycle_rule_id from marts.dim_projects where project_id = any(%(projects)s)"
    )
    rows = await rows_of(connection, query, {"projects": list(projects)})
    return {row["project_id"]: row["default_cycle_rule_id"] for row in rows}
