{{ config(materialized='view') }}
-- Where orders wait longest: the stages of a project and period, by the working time that all orders spent in them.
select
    grain,
    period_start,
    project_id,
    status_group_id,
    status_group_name,
    is_urgent,
    rank() over (
        partition by grain, period_start, project_id, is_urgent
        order by coalesce(total_working_seconds, 0) desc, coalesce(total_elapsed_seconds, 0) desc
    ) as bottleneck_rank,
    orders,
    visits,
    total_working_seconds,
    total_elapsed_seconds,
    {{ share(
        'total_working_seconds',
        'sum(total_working_seconds) over (partition by grain, period_start, project_id, is_urgent)'
    ) }} as working_share,
    {{ share(
        'total_elapsed_seconds',
        'sum(total_elapsed_seconds) over (partition by grain, period_start, project_id, is_urgent)'
    ) }} as elapsed_share,
    median_working_seconds,
    p90_working_seconds,
    sla_over
from {{ ref('agg_stage_durations') }}
