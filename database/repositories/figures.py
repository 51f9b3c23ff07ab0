"""The demo's key figures, read from the marts: each function gives the rows of one table, as dicts."""

from __future__ import annotations

from typing import Any

from database.connection import Connection

Rows = list[dict[str, Any]]


async def orders_per_stage(connection: Connection) -> Rows:
    """Orders now in each stage, open and closed, and the open ones' SLA states; the clock runs as it is read."""
    return await _rows(
        connection,
        """
        select
            project_id,
            last_status_group_id as stage_id,
            max(last_status_group_name) as stage,
            count(*) filter (where not is_closed) as open_orders,
            count(*) filter (where is_closed) as closed_orders,
            count(*) filter (where not is_closed and is_urgent) as urgent,
            count(*) filter (where sla_state = 'ok') as ok,
            count(*) filter (where sla_state = 'near') as near,
            count(*) filter (where sla_state = 'over') as over
        from marts.orders_current
        group by project_id, last_status_group_id
        order by project_id, length(last_status_group_id), last_status_group_id
        """,
    )


async def working_time_per_stage(connection: Connection) -> Rows:
    """Working time that orders spent in each stage they have left, over all visits, in hours."""
    return await _rows(
        connection,
        """
        select
            project_id,
            status_group_id as stage_id,
            max(status_group_name) as stage,
            count(*) as orders,
            sum(visits)::bigint as visits,
            round(avg(working_seconds) / 3600, 2) as avg_hours,
            round((percentile_cont(0.5) within group (order by working_seconds) / 3600)::numeric, 2) as median_hours,
            round((percentile_cont(0.9) within group (order by working_seconds) / 3600)::numeric, 2) as p90_hours
        from marts.fct_order_stages
        where last_left_at is not null
        group by project_id, status_group_id
        order by project_id, length(status_group_id), status_group_id
        """,
    )


async def sla_per_stage(connection: Connection) -> Rows:
    """Of the orders that left each stage with a limit: how many were ok, near and over it, and their shares."""
    return await _rows(
        connection,
        """
        select
            project_id,
            status_group_id as stage_id,
            max(status_group_name) as stage,
            count(*) as orders,
            count(*) filter (where sla_state = 'ok') as ok,
            count(*) filter (where sla_state = 'near') as near,
            count(*) filter (where sla_state = 'over') as over,
            round(100.0 * count(*) filter (where sla_state = 'ok') / count(*), 1) as ok_percent,
            round(100.0 * count(*) filter (where sla_state = 'near') / count(*), 1) as near_percent,
            round(100.0 * count(*) filter (where sla_state = 'over') / count(*), 1) as over_percent
        from marts.fct_order_stages
        where last_left_at is not null and sla_state is not null
        group by project_id, status_group_id
        order by project_id, length(status_group_id), status_group_id
        """,
    )


async def cycle_times(connection: Connection) -> Rows:
    """Finished cycles by rule, elapsed and in working time, in hours; and how many are under way."""
    return await _rows(
        connection,
        """
        select
            project_id,
            cycle_rule_id as cycle,
            count(ended_at) as finished,
            count(*) filter (where ended_at is null) as under_way,
            round(avg(duration_seconds) / 3600, 2) as avg_hours,
            round((percentile_cont(0.5) within group (order by duration_seconds) / 3600)::numeric, 2) as median_hours,
            round((percentile_cont(0.9) within group (order by duration_seconds) / 3600)::numeric, 2) as p90_hours,
            round(avg(working_seconds) / 3600, 2) as avg_working_hours,
            round(
                (percentile_cont(0.5) within group (order by working_seconds) / 3600)::numeric, 2
            ) as median_working_hours
        from marts.order_cycle_metrics
        group by project_id, cycle_rule_id
        order by project_id, cycle_rule_id
        """,
    )


async def sales(connection: Connection) -> Rows:
    """Sales of each project and currency, with their sum; those that were undone are counted apart."""
    return await _rows(
        connection,
        """
        select
            project_id,
            crm,
            currency,
            count(*) filter (where state = 'active') as sales,
            coalesce(sum(amount) filter (where state = 'active'), 0) as amount,
            count(*) filter (where state = 'reversed') as reversed,
            min(occurred_at) as first_at,
            max(occurred_at) as last_at,
            bool_or(is_medical) as is_medical
        from marts.fct_transactions
        group by project_id, crm, currency
        order by project_id, currency
        """,
    )


async def integration_statistics(connection: Connection) -> Rows:
    """How each project's synchronisation fares."""
    return await _rows(
        connection,
        """
        select
            project_id, total_synced, last_success_at, success_rate_30d, failed_syncs_30d,
            round(avg_sync_seconds_30d, 2) as avg_sync_seconds_30d, consecutive_failures
        from marts.integration_statistics
        order by project_id
        """,
    )


async def _rows(connection: Connection, query: str) -> Rows:
    cursor = await connection.execute(query)
    return await cursor.fetchall()
