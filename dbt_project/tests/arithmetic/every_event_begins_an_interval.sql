{{ config(meta={'dagster': {'ref': {'name': 'fct_order_status_intervals'}}}) }}
-- No event of a configured project is left out, and none counts twice. Events that arrive while the build runs are newer
-- than the newest one that it has read.
with intervals as (
    select project_id, count(*) as intervals_found, count(distinct event_id) as events_read, max(event_id) as newest
    from {{ ref('fct_order_status_intervals') }}
    group by project_id
),

events as (
    select events.project_id, count(*) as events_found
    from {{ ref('stg_core__order_status_events') }} as events
    inner join {{ ref('dim_projects') }} as projects on events.project_id = projects.project_id
    left join intervals on events.project_id = intervals.project_id
    where events.event_id <= intervals.newest or intervals.newest is null
    group by events.project_id
)

select *
from events
full outer join intervals on events.project_id = intervals.project_id
where
    events.events_found is distinct from intervals.intervals_found
    or events.events_found is distinct from intervals.events_read
