{{
    config(
        scope='periods',
        key=['grain', 'period_start', 'project_id', 'previous_status_group_id', 'is_urgent'],
        indexes=[{'columns': ['project_id', 'grain', 'period_start']}],
    )
}}
-- Where orders get lost: of all moves out of a stage in a period, how many went to a cancelled group.
with entries as (
    select
        project_id,
        order_id,
        is_urgent,
        entered_at,
        status_group_id,
        -- '' is what was before the first event, and a status without a group.
        coalesce(previous_status_group_id, '') as previous_status_group_id
    from {{ ref('fct_order_status_intervals') }}
    where is_stage_entry
),

status_groups as (
    select * from {{ ref('int_status_groups__resolved') }}
),

facts as (
    select
        entries.project_id,
        entries.previous_status_group_id,
        previous_groups.status_group_name as previous_status_group_name,
        entries.is_urgent,
        coalesce(next_groups.is_cancelled, false) as is_cancellation,
        periods.grain,
        periods.period_start
    from entries
    inner join {{ ref('stg_config__projects') }} as projects on entries.project_id = projects.project_id
    {{ join_periods(ref('fct_order_status_intervals'), 'entries', 'entered_at', 'projects.time_zone') }}
    left join status_groups as next_groups
        on entries.project_id = next_groups.project_id
        and entries.status_group_id = next_groups.status_group_id
    left join status_groups as previous_groups
        on entries.project_id = previous_groups.project_id
        and entries.previous_status_group_id = previous_groups.status_group_id
    where not coalesce(previous_groups.is_cancelled, false)
)

select
    grain,
    period_start,
    project_id,
    previous_status_group_id,
    max(previous_status_group_name) as previous_status_group_name,
    is_urgent,
    count(*) as exits,
    count(*) filter (where is_cancellation) as cancellations,
    {{ share('count(*) filter (where is_cancellation)', 'count(*)') }} as cancellation_rate
from facts
group by period_start, grain, project_id, previous_status_group_id, is_urgent
