{{
    config(
        scope='projects',
        key=['project_id', 'status_group_id', 'is_urgent', 'local_date'],
        indexes=[{'columns': ['project_id', 'local_date']}],
    )
}}
-- What came into each stage on a day, what went out of it, and what was in it when the day ended. An order is in a stage
-- while it is neither closed nor cancelled. Up to the day on which the newest event came in: no table knows what day it is.
-- Days since 1970-01-01. What is dated before counts on that day: a slip of the pen must not make days by the million.
with daily as (
    select
        moves.project_id,
        moves.status_group_id,
        moves.is_urgent,
        greatest(0, {{ day_of_date('moves.period_start') }}) as day_number,
        sum(moves.entered) as entered,
        sum(moves.exited) as exited,
        sum(moves.ended) as ended
    from {{ ref('int_flow__moves') }} as moves
    {{ only_changed_projects('moves') }}
    group by 1, 2, 3, 4
),

newest as (
    select
        paths.project_id,
        {{ day_of_date(period_start("'day'", 'max(paths.ingested_at)', 'max(projects.time_zone)')) }} as day_number
    from {{ ref('int_orders__paths') }} as paths
    {{ only_changed_projects('paths') }}
    inner join {{ ref('dim_projects') }} as projects on paths.project_id = projects.project_id
    group by paths.project_id
),

running as (
    select
        daily.*,
        newest.day_number as newest_day_number,
        sum(daily.entered - daily.exited) over stage_days as backlog,
        lead(daily.day_number) over stage_days as next_day_number
    from daily
    inner join newest on daily.project_id = newest.project_id
    where daily.day_number <= newest.day_number
    window stage_days as (
        partition by daily.project_id, daily.status_group_id, daily.is_urgent order by daily.day_number
    )
),

-- A day without a move has the backlog of the day before; with none, it has no row.
days as (
    select
        running.project_id,
        running.status_group_id,
        running.is_urgent,
        days.n as day_number,
        case when days.n = running.day_number then running.entered else 0 end as entered,
        case when days.n = running.day_number then running.exited else 0 end as exited,
        case when days.n = running.day_number then running.ended else 0 end as ended,
        running.backlog
    from running
    {{ join_series(
        'days', 'running.day_number',
        'case when running.backlog = 0 then running.day_number'
        ~ ' else coalesce(running.next_day_number - 1, running.newest_day_number) end'
    ) }}
)

select
    days.project_id,
    {{ date_of_day('days.day_number') }} as local_date,
    days.status_group_id,
    status_groups.status_group_name,
    days.is_urgent,
    cast(days.entered as bigint) as entered,
    cast(days.exited as bigint) as exited,
    cast(days.ended as bigint) as ended,
    cast(days.backlog as bigint) as backlog
from days
left join {{ ref('int_status_groups__resolved') }} as status_groups
    on days.project_id = status_groups.project_id
    and days.status_group_id = status_groups.status_group_id
