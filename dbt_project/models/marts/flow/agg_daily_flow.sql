{{ config(scope='projects', key=['project_id', 'status_group_id', 'is_urgent', 'local_date']) }}
-- What came into each stage on a day, what went out of it, and what was in it when the day ended. An order is in a stage
-- while it is neither closed nor cancelled. Up to the day on which the newest event came in: no table knows what day it is.
with entered as (
    select
        intervals.project_id,
        intervals.is_urgent,
        intervals.entered_at as moved_at,
        case
            when intervals.is_closing or coalesce(status_groups.is_cancelled, false) then null
            else coalesce(intervals.status_group_id, '')
        end as status_group_id,
        case
            when
                intervals.interval_number = 1
                or coalesce(previous_statuses.is_closing, false)
                or coalesce(previous_groups.is_cancelled, false) then null
            else coalesce(intervals.previous_status_group_id, '')
        end as previous_group_id
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_changed_projects('intervals') }}
    left join {{ ref('int_status_groups__resolved') }} as status_groups
        on intervals.project_id = status_groups.project_id
        and intervals.status_group_id = status_groups.status_group_id
    left join {{ ref('int_status_groups__resolved') }} as previous_groups
        on intervals.project_id = previous_groups.project_id
        and intervals.previous_status_group_id = previous_groups.status_group_id
    left join {{ ref('int_statuses__overlaid') }} as previous_statuses
        on intervals.project_id = previous_statuses.project_id
        and intervals.previous_status_id = previous_statuses.status_id
    left join {{ ref('stg_core__orders') }} as orders
        on intervals.project_id = orders.project_id
        and intervals.order_id = orders.order_id
    where not coalesce(orders.is_deleted, false)
),

moves as (
    select project_id, status_group_id, is_urgent, moved_at, 1 as entered, 0 as exited, 0 as ended
    from entered
    where status_group_id is not null and status_group_id is distinct from previous_group_id

    union all

    select project_id, previous_group_id, is_urgent, moved_at, 0, 1, case when status_group_id is null then 1 else 0 end
    from entered
    where previous_group_id is not null and status_group_id is distinct from previous_group_id
),

-- Days since 1970-01-01. What is dated before counts on that day: a slip of the pen must not make days by the million.
daily as (
    select
        moves.project_id,
        moves.status_group_id,
        moves.is_urgent,
        greatest(0, {{ day_of_date(period_start("'day'", 'moves.moved_at', 'projects.time_zone')) }}) as day_number,
        sum(moves.entered) as entered,
        sum(moves.exited) as exited,
        sum(moves.ended) as ended
    from moves
    inner join {{ ref('dim_projects') }} as projects on moves.project_id = projects.project_id
    group by 1, 2, 3, 4
),

newest as (
    select
        intervals.project_id,
        {{ day_of_date(period_start("'day'", 'max(intervals.ingested_at)', 'max(projects.time_zone)')) }} as day_number
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_changed_projects('intervals') }}
    inner join {{ ref('dim_projects') }} as projects on intervals.project_id = projects.project_id
    group by intervals.project_id
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
