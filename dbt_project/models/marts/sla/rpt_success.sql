{{ config(scope='periods', key=['grain', 'period_start', 'project_id', 'is_urgent']) }}
-- Orders that have come to their end (closed, or cancelled), by the period of it: how many of those not cancelled kept
-- the limit of every stage they passed.
with facts as (
    select
        outcomes.*,
        periods.grain,
        periods.period_start
    from {{ ref('int_orders__outcomes') }} as outcomes
    inner join {{ ref('stg_config__projects') }} as projects on outcomes.project_id = projects.project_id
    {{ join_periods(ref('int_orders__outcomes'), 'outcomes', 'ended_at', 'projects.time_zone') }}
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
