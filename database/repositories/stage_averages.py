"""Average working time per stage over some days: from marts.agg_stage_durations, never from the facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class StageAverage:
    """Groups of several projects that have the same id and name are one."""

    status_group_id: str
    status_group_name: str | None
    orders: int
    """Orders that last left the stage in the period."""
    avg_working_seconds: Decimal | None


async def stage_averages(
    connection: Connection,
    *,
    project_ids: Sequence[str] | None,
    since: date | None,
    until: date | None,
    group: str | None = None,
    is_urgent: bool | None = None,
    without: Sequence[tuple[str, str]] = (),
) -> list[StageAverage]:
    """Of orders that last left the stage from one local date to another, both included.

    `without`: projects, each with a group that is left out.
    """
    cursor = await connection.execute(
        """
        select status_group_id, status_group_name, sum(orders)::bigint as orders,
            (sum(total_working_seconds)
                / nullif(sum(orders) filter (where total_working_seconds is not null), 0))::numeric(20, 6)
                as avg_working_seconds
        from marts.agg_stage_durations
        where grain = 'day'
            and (%(projects)s::text[] is null or project_id = any(%(projects)s))
            and (%(since)s::date is null or period_start >= %(since)s)
            and (%(until)s::date is null or period_start <= %(until)s)
            and (%(group)s::text is null or status_group_id = %(group)s)
            and (%(urgent)s::boolean is null or is_urgent = %(urgent)s)
            and (project_id, status_group_id) not in (
                select * from unnest(%(without_projects)s::text[], %(without_groups)s::text[])
            )
        group by status_group_id, status_group_name
        order by length(status_group_id), status_group_id, status_group_name
        """,
        {
            "projects": None if project_ids is None else list(project_ids),
            "since": since,
            "until": until,
            "group": group,
            "urgent": is_urgent,
            "without_projects": [project for project, _ in without],
            "without_groups": [group for _, group in without],
        },
        prepare=False,  # a plan of its own: a general one would read all days
    )
    return [StageAverage(**row) for row in await cursor.fetchall()]
