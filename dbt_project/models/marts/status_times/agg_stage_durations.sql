{{
    config(
        scope='periods',
        key=['grain', 'period_start', 'project_id', 'status_group_id', 'is_urgent'],
        indexes=[{'columns': ['project_id', 'grain', 'period_start']}],
    )
}}
-- Times that orders spent in each stage, by the period in which they last left it.
with facts as (
    select
        stages.*,
        {{ us_of('stages.elapsed_seconds') }} as elapsed_us,
        {{ us_of('stages.working_seconds') }} as working_us,
        periods.grain,
        periods.period_start
    from {{ ref('fct_order_stages') }} as stages
    inner join {{ ref('stg_config__projects') }} as projects on stages.project_id = projects.project_id
    {{ join_periods(ref('fct_order_stages'), 'stages', 'last_left_at', 'projects.time_zone') }}
    where stages.last_left_at is not null
)

select
    grain,
    period_start,
    project_id,
    status_group_id,
    max(status_group_name) as status_group_name,
    is_urgent,
    count(*) as orders,
    cast(sum(visits) as bigint) as visits,
    {{ duration_measures() }}
from facts
group by period_start, grain, project_id, status_group_id, is_urgent
