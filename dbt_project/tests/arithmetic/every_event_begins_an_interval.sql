{{ config(meta={'dagster': {'ref': {'name': 'fct_order_status_intervals'}}}) }}
-- No event of a configured project is left out, and none counts twice.
with intervals as (
    select
        facts.project_id,
        facts.order_id,
        count(*) as intervals_found,
        count(distinct facts.event_id) as events_read
    from {{ ref('fct_order_status_intervals') }} as facts
    {{ only_tested_orders('facts', ['fct_order_status_intervals']) }}
    group by facts.project_id, facts.order_id
),

events as (
    select
        events.project_id,
        events.order_id,
        count(*) as events_found
    from {{ ref('stg_core__order_status_events') }} as events
    {{ only_tested_orders('events', ['fct_order_status_intervals']) }}
    inner join {{ ref('dim_projects') }} as projects on events.project_id = projects.project_id
    group by events.project_id, events.order_id
),

both_counts as (
    select
        coalesce(events.project_id, intervals.project_id) as project_id,
        coalesce(events.order_id, intervals.order_id) as order_id,
        events.events_found,
        intervals.intervals_found,
        intervals.events_read
    from events
    full outer join intervals
        on events.project_id = intervals.project_id
        and events.order_id = intervals.order_id
)

select *
from both_counts
where
    (events_found is distinct from intervals_found or events_found is distinct from events_read)
    and {{ not_written_since('both_counts') }}
