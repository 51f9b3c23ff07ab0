{{ config(meta={'dagster': {'ref': {'name': 'rpt_cancellations_by_status'}}}) }}
-- A cancellation counts once for its stage and once for its status; a move out of a stage is one out of a status.
with totals as (
    select 'stage' as kind, grain, period_start, project_id, is_urgent, cancellations, exits
    from {{ ref('rpt_cancellations') }}
    union all
    select 'status', grain, period_start, project_id, is_urgent, cancellations, exits
    from {{ ref('rpt_cancellations_by_status') }}
)

select grain, period_start, project_id, is_urgent
from totals
group by grain, period_start, project_id, is_urgent
having
    sum(case when kind = 'stage' then cancellations else -cancellations end) <> 0
    or sum(case when kind = 'stage' then exits else -exits end) > 0
