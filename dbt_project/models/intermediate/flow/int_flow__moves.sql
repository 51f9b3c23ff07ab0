{{ config(scope='periods', key=['grain', 'period_start', 'project_id', 'status_group_id', 'is_urgent']) }}
-- What came into each stage on a day, and what went out of it. An order is in a stage while it is neither closed nor
-- cancelled nor deleted.
with entered as (
    select
        intervals.project_id,
        intervals.is_urgent,
        periods.grain,
        periods.period_start,
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
    inner join {{ ref('stg_config__projects') }} as projects on intervals.project_id = projects.project_id
    {{ join_periods(ref('fct_order_status_intervals'), 'intervals', 'entered_at', 'projects.time_zone') }}
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
    where periods.grain = 'day' and not coalesce(orders.is_deleted, false)
),

moves as (
    select grain, period_start, project_id, status_group_id, is_urgent, 1 as entered, 0 as exited, 0 as ended
    from entered
    where status_group_id is not null and status_group_id is distinct from previous_group_id

    union all

    select
        grain, period_start, project_id, previous_group_id, is_urgent, 0, 1,
        case when status_group_id is null then 1 else 0 end
    from entered
    where previous_group_id is not null and status_group_id is distinct from previous_group_id
)

select
    grain,
    period_start,
    project_id,
    status_group_id,
    is_urgent,
    cast(sum(entered) as bigint) as entered,
    cast(sum(exited) as bigint) as exited,
    cast(sum(ended) as bigint) as ended
from moves
group by grain, period_start, project_id, status_group_id, is_urgent
