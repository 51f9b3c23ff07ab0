{{
    config(
        scope='periods',
        key=['grain', 'period_start', 'project_id', 'previous_status_id', 'is_urgent'],
        indexes=[{'columns': ['project_id', 'grain', 'period_start']}],
    )
}}
-- Where orders get lost, status by status: of all moves out of a status in a period, how many went to a cancelled group.
with facts as (
    select
        entries.project_id,
        -- '' is what was before the first event.
        coalesce(entries.previous_status_id, '') as previous_status_id,
        entries.is_urgent,
        coalesce(next_groups.is_cancelled, false) as is_cancellation,
        periods.grain,
        periods.period_start
    from {{ ref('fct_order_status_intervals') }} as entries
    inner join {{ ref('stg_config__projects') }} as projects on entries.project_id = projects.project_id
    {{ join_periods(ref('fct_order_status_intervals'), 'entries', 'entered_at', 'projects.time_zone') }}
    left join {{ ref('int_status_groups__resolved') }} as next_groups
        on entries.project_id = next_groups.project_id
        and entries.status_group_id = next_groups.status_group_id
    left join {{ ref('int_status_groups__resolved') }} as previous_groups
        on entries.project_id = previous_groups.project_id
        and entries.previous_status_group_id = previous_groups.status_group_id
    where not coalesce(previous_groups.is_cancelled, false)
),

counted as (
    select
        grain,
        period_start,
        project_id,
        previous_status_id,
        is_urgent,
        count(*) as exits,
        count(*) filter (where is_cancellation) as cancellations
    from facts
    group by period_start, grain, project_id, previous_status_id, is_urgent
)

select
    counted.grain,
    counted.period_start,
    counted.project_id,
    counted.previous_status_id,
    statuses.status_name as previous_status_name,
    counted.is_urgent,
    counted.exits,
    counted.cancellations,
    {{ share('counted.cancellations', 'counted.exits') }} as cancellation_rate
from counted
left join {{ ref('int_statuses__overlaid') }} as statuses
    on counted.project_id = statuses.project_id
    and counted.previous_status_id = statuses.status_id
