{{
    config(
        scope='keys',
        key=['project_id', 'from_status_id', 'to_status_id', 'is_urgent'],
        notes='build_transitions',
        finds_facts_by=['project_id', 'status_id', 'next_status_id'],
    )
}}
-- The directly-follows graph: how often orders go from one status straight to another, and how long they were in the
-- first one. '' is what was before the first event.
with steps as (
    select
        facts.project_id,
        facts.order_id,
        facts.is_urgent,
        facts.status_id as from_status_id,
        facts.next_status_id as to_status_id,
        {{ us_of('facts.elapsed_seconds') }} as elapsed_us,
        {{ us_of('facts.working_seconds') }} as working_us
    from {{ ref('fct_order_status_intervals') }} as facts
    {{ only_changed_keys(
        ref('fct_order_status_intervals'),
        'facts.project_id = changed_keys.project_id and facts.is_urgent = changed_keys.is_urgent'
        ~ ' and facts.status_id = changed_keys.from_status_id and facts.next_status_id = changed_keys.to_status_id'
    ) }}
    where facts.left_at is not null

    union all

    select facts.project_id, facts.order_id, facts.is_urgent, '', facts.status_id, null, null
    from {{ ref('fct_order_status_intervals') }} as facts
    {{ only_changed_keys(
        ref('fct_order_status_intervals'),
        'facts.project_id = changed_keys.project_id and facts.is_urgent = changed_keys.is_urgent'
        ~ " and changed_keys.from_status_id = '' and facts.status_id = changed_keys.to_status_id"
    ) }}
    where facts.interval_number = 1
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
