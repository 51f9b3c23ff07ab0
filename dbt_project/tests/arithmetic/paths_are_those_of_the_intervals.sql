{{ config(meta={'dagster': {'ref': {'name': 'int_orders__paths'}}}) }}
-- Per order: its path has a step for each interval.
with paths as (
    select
        facts.project_id,
        facts.order_id,
        {{ list_length('facts.status_ids') }} as steps
    from {{ ref('int_orders__paths') }} as facts
    {{ only_tested_orders('facts', ['int_orders__paths']) }}
),

intervals as (
    select
        facts.project_id,
        facts.order_id,
        count(*) as intervals
    from {{ ref('fct_order_status_intervals') }} as facts
    {{ only_tested_orders('facts', ['int_orders__paths']) }}
    group by facts.project_id, facts.order_id
)

select *
from paths
full outer join intervals
    on paths.project_id = intervals.project_id
    and paths.order_id = intervals.order_id
where paths.steps is distinct from intervals.intervals
