-- Orders that have come to their end (closed, or cancelled), by the period of it: how many of those not cancelled went
-- through their stages without coming back to one.
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

returned as (
    select
        project_id,
        order_id,
        sum(visits - 1) as returns
    from {{ ref('fct_order_stages') }}
    where visits > 1
    group by project_id, order_id
),

facts as (
    select
        ended.*,
        coalesce(returned.returns, 0) as returns,
        grains.grain,
        {{ period_start('grains.grain', 'ended.ended_at', 'projects.time_zone') }} as period_start
    from ended
    inner join {{ ref('dim_projects') }} as projects on ended.project_id = projects.project_id
    left join returned
        on ended.project_id = returned.project_id
        and ended.order_id = returned.order_id
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
        count(*) filter (where not is_cancelled and returns = 0) as first_pass,
        count(*) filter (where not is_cancelled and returns > 0) as returned,
        cast(coalesce(sum(returns) filter (where not is_cancelled), 0) as bigint) as returns
    from facts
    group by grain, period_start, project_id, is_urgent
)

select
    *,
    {{ share('first_pass', 'first_pass + returned') }} as first_pass_rate
from counted
