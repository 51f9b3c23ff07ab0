-- Orders that have come to their end (closed, or cancelled), by the period of it: how many of those not cancelled kept
-- the limit of every stage they passed.
with ended as (
    select
        intervals.project_id,
        intervals.order_id,
        intervals.is_urgent,
        intervals.entered_at as ended_at,
        coalesce(status_groups.is_cancelled, false) as is_cancelled
    from {{ ref('fct_order_status_intervals') }} as intervals
    left join {{ ref('int_status_groups__resolved') }} as status_groups
        on intervals.project_id = status_groups.project_id
        and intervals.status_group_id = status_groups.status_group_id
    where intervals.left_at is null and (intervals.is_closing or coalesce(status_groups.is_cancelled, false))
),

kept as (
    select
        project_id,
        order_id,
        bool_or(sla_state = 'over') as is_late
    from {{ ref('fct_order_stages') }}
    where sla_state is not null
    group by project_id, order_id
),

facts as (
    select
        ended.*,
        kept.is_late,
        grains.grain,
        {{ period_start('grains.grain', 'ended.ended_at', 'projects.time_zone') }} as period_start
    from ended
    inner join {{ ref('stg_config__projects') }} as projects on ended.project_id = projects.project_id
    left join kept
        on ended.project_id = kept.project_id
        and ended.order_id = kept.order_id
    cross join {{ grains() }}
),

counted as (
    select
        grain,
        period_start,
        project_id,
        is_urgent,
        count(*) as orders,
        count(*) filter (where is_cancelled) as cancelled,
        count(*) filter (where not is_cancelled and not is_late) as on_time,
        count(*) filter (where not is_cancelled and is_late) as late,
        count(*) filter (where not is_cancelled and is_late is null) as without_limit
    from facts
    group by period_start, grain, project_id, is_urgent
)

select
    *,
    {{ share('on_time', 'on_time + late') }} as on_time_rate
from counted
