{{ config(meta={'dagster': {'ref': {'name': 'fct_order_stages'}}}) }}
-- Per order: seconds of all stages are those of all its closed intervals that have a group, visits are the entries, and at
-- most one stage is the current one.
with stages as (
    select
        facts.project_id,
        facts.order_id,
        sum(elapsed_seconds) as elapsed_seconds,
        sum(working_seconds) as working_seconds,
        sum(visits) as visits,
        count(*) filter (where is_current) as current_stages
    from {{ ref('fct_order_stages') }} as facts
    {{ only_tested_orders('facts', ['fct_order_stages']) }}
    group by facts.project_id, facts.order_id
    having bool_and(working_seconds is not null)
),

intervals as (
    select
        facts.project_id,
        facts.order_id,
        coalesce(sum(elapsed_seconds), 0) as elapsed_seconds,
        coalesce(sum(working_seconds), 0) as working_seconds,
        count(*) filter (where is_stage_entry) as visits
    from {{ ref('fct_order_status_intervals') }} as facts
    {{ only_tested_orders('facts', ['fct_order_stages']) }}
    where status_group_id is not null
    group by facts.project_id, facts.order_id
)

select *
from stages
inner join intervals
    on stages.project_id = intervals.project_id
    and stages.order_id = intervals.order_id
where
    stages.elapsed_seconds <> intervals.elapsed_seconds
    or stages.working_seconds <> intervals.working_seconds
    or stages.visits <> intervals.visits
    or stages.current_stages > 1
