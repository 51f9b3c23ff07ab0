{{ config(scope='periods', key=['grain', 'period_start', 'project_id', 'is_urgent']) }}
-- Orders that have come to their end (closed, or cancelled), by the period of it: how many of those not cancelled went
-- through their stages without coming back to one.
with facts as (
    select
        outcomes.*,
        periods.grain,
        periods.period_start
    from {{ ref('int_orders__outcomes') }} as outcomes
    inner join {{ ref('dim_projects') }} as projects on outcomes.project_id = projects.project_id
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
