{{
    config(
        scope='periods',
        key=['grain', 'period_start', 'project_id', 'status_id', 'is_urgent'],
        indexes=[{'columns': ['project_id', 'grain', 'period_start']}],
    )
}}
-- Times of single visits to a status, by the period in which it was left.
with facts as (
    select
        intervals.*,
        {{ us_of('intervals.elapsed_seconds') }} as elapsed_us,
        {{ us_of('intervals.working_seconds') }} as working_us,
        stages.sla_state,
        periods.grain,
        periods.period_start
    from {{ ref('fct_order_status_intervals') }} as intervals
    inner join {{ ref('stg_config__projects') }} as projects on intervals.project_id = projects.project_id
    left join {{ ref('fct_order_stages') }} as stages
        on intervals.project_id = stages.project_id
        and intervals.order_id = stages.order_id
        and intervals.status_group_id = stages.status_group_id
    {{ join_periods(ref('fct_order_status_intervals'), 'intervals', 'left_at', 'projects.time_zone') }}
    where intervals.left_at is not null
)

select
    grain,
    period_start,
    project_id,
    status_id,
    max(status_name) as status_name,
    is_urgent,
    count(distinct order_id) as orders,
    count(*) as visits,
    {{ duration_measures(orders='distinct order_id') }}
from facts
group by period_start, grain, project_id, status_id, is_urgent
