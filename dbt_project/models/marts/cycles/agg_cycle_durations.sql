{{
    config(
        scope='periods',
        key=['grain', 'period_start', 'project_id', 'cycle_rule_id', 'is_urgent'],
        indexes=[{'columns': ['project_id', 'grain', 'period_start']}],
    )
}}
-- Times of finished cycles, by the period in which they ended.
with facts as (
    select
        cycles.project_id,
        cycles.order_id,
        cycles.cycle_rule_id,
        cycles.is_urgent,
        cycles.sla_state,
        {{ us_of('cycles.duration_seconds') }} as elapsed_us,
        {{ us_of('cycles.working_seconds') }} as working_us,
        rules.cycle_title,
        periods.grain,
        periods.period_start
    from {{ ref('order_cycle_metrics') }} as cycles
    inner join {{ ref('stg_config__projects') }} as projects on cycles.project_id = projects.project_id
    inner join {{ ref('stg_config__cycle_rules') }} as rules
        on cycles.project_id = rules.project_id
        and cycles.cycle_rule_id = rules.cycle_rule_id
    {{ join_periods(ref('order_cycle_metrics'), 'cycles', 'ended_at', 'projects.time_zone') }}
    where cycles.ended_at is not null
)

select
    grain,
    period_start,
    project_id,
    cycle_rule_id,
    max(cycle_title) as cycle_title,
    is_urgent,
    count(*) as orders,
    count(*) as visits,
    {{ duration_measures() }}
from facts
group by period_start, grain, project_id, cycle_rule_id, is_urgent
