{{
    config(
        scope='orders',
        key=['project_id', 'order_id'],
        notes_dates=true,
        indexes=[{'columns': ['project_id', 'order_id']}],
    )
}}
-- Orders that have come to their end (closed, or cancelled): when, and how they went.
with ended as (
    select
        intervals.project_id,
        intervals.order_id,
        intervals.is_urgent,
        intervals.entered_at as ended_at,
        coalesce(status_groups.is_cancelled, false) as is_cancelled
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_changed_orders('intervals') }}
    left join {{ ref('int_status_groups__resolved') }} as status_groups
        on intervals.project_id = status_groups.project_id
        and intervals.status_group_id = status_groups.status_group_id
    where intervals.left_at is null and (intervals.is_closing or coalesce(status_groups.is_cancelled, false))
),

passed as (
    select
        stages.project_id,
        stages.order_id,
        bool_or(stages.sla_state = 'over') as is_late,
        sum(stages.visits - 1) as returns
    from {{ ref('fct_order_stages') }} as stages
    {{ only_changed_orders('stages') }}
    group by stages.project_id, stages.order_id
)

select
    ended.project_id,
    ended.order_id,
    ended.is_urgent,
    ended.ended_at,
    ended.is_cancelled,
    -- Null: no stage had a limit.
    passed.is_late,
    cast(coalesce(passed.returns, 0) as bigint) as returns
from ended
left join passed
    on ended.project_id = passed.project_id
    and ended.order_id = passed.order_id
