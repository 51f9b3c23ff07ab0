{{ config(scope='projects', key=['project_id', 'from_status_id', 'to_status_id', 'is_urgent']) }}
-- The directly-follows graph: how often orders go from one status straight to another, and how long they were in the
-- first one. '' is what was before the first event.
with intervals as (
    select facts.*
    from {{ ref('fct_order_status_intervals') }} as facts
    {{ only_changed_projects('facts') }}
),

steps as (
    select
        project_id,
        order_id,
        is_urgent,
        status_id as from_status_id,
        next_status_id as to_status_id,
        {{ us_of('elapsed_seconds') }} as elapsed_us,
        {{ us_of('working_seconds') }} as working_us
    from intervals
    where left_at is not null

    union all

    select project_id, order_id, is_urgent, '', status_id, null, null
    from intervals
    where interval_number = 1
),

counted as (
    select
        project_id,
        from_status_id,
        to_status_id,
        is_urgent,
        count(*) as transitions,
        count(distinct order_id) as orders,
        {{ percentile(0.5, 'elapsed_us') }} as median_elapsed_seconds,
        {{ percentile(0.9, 'elapsed_us') }} as p90_elapsed_seconds,
        {{ percentile(0.5, 'working_us') }} as median_working_seconds,
        {{ percentile(0.9, 'working_us') }} as p90_working_seconds
    from steps
    group by project_id, from_status_id, to_status_id, is_urgent
)

select
    counted.project_id,
    counted.from_status_id,
    from_statuses.status_name as from_status_name,
    from_statuses.status_group_id as from_status_group_id,
    from_statuses.status_group_name as from_status_group_name,
    counted.to_status_id,
    to_statuses.status_name as to_status_name,
    to_statuses.status_group_id as to_status_group_id,
    to_statuses.status_group_name as to_status_group_name,
    counted.is_urgent,
    counted.transitions,
    counted.orders,
    counted.median_elapsed_seconds,
    counted.p90_elapsed_seconds,
    counted.median_working_seconds,
    counted.p90_working_seconds
from counted
left join {{ ref('dim_statuses') }} as from_statuses
    on counted.project_id = from_statuses.project_id
    and counted.from_status_id = from_statuses.status_id
left join {{ ref('dim_statuses') }} as to_statuses
    on counted.project_id = to_statuses.project_id
    and counted.to_status_id = to_statuses.status_id
