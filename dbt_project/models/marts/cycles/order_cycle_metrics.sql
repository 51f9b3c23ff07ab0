{{
    config(
        scope='orders',
        live=true,
        key=['project_id', 'order_id', 'cycle_rule_id'],
        notes_dates=true,
        indexes=[{'columns': ['project_id', 'order_id', 'cycle_rule_id']}],
    )
}}
-- Per order and cycle rule it has begun: from the earliest event in the start group or status to the earliest later event
-- in the end group or status. "Later" is by the order of events, so that two events in one instant make a cycle of no length.
-- The intervals are read where they are needed: a common table expression of them would be copied to disk whole.
with
-- Only the orders that name a group of their own for a cycle's start or end.
traits as (
    select * from {{ ref('int_orders__traits') }} where cycle_start is not null or cycle_end is not null
),

rules as (
    select * from {{ ref('stg_config__cycle_rules') }}
),

starts as (
    select
        intervals.project_id,
        intervals.order_id,
        rules.cycle_rule_id,
        coalesce(traits.cycle_end, rules.end_group_id) as end_group_id,
        case when traits.cycle_end is null then rules.end_status_id end as end_status_id,
        min(intervals.interval_number) as start_number
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_changed_orders('intervals') }}
    inner join rules on intervals.project_id = rules.project_id
    left join traits
        on intervals.project_id = traits.project_id
        and intervals.order_id = traits.order_id
    where
        intervals.status_group_id = coalesce(traits.cycle_start, rules.start_group_id)
        or (traits.cycle_start is null and intervals.status_id = rules.start_status_id)
    group by
        intervals.project_id, intervals.order_id, rules.cycle_rule_id,
        traits.cycle_end, rules.end_group_id, rules.end_status_id
),

ends as (
    select
        starts.project_id,
        starts.order_id,
        starts.cycle_rule_id,
        min(intervals.interval_number) as end_number
    from starts
    inner join {{ ref('fct_order_status_intervals') }} as intervals
        on starts.project_id = intervals.project_id
        and starts.order_id = intervals.order_id
        and starts.start_number < intervals.interval_number
        and (starts.end_group_id = intervals.status_group_id or starts.end_status_id = intervals.status_id)
    group by starts.project_id, starts.order_id, starts.cycle_rule_id
),

passed as (
    -- The intervals from the start up to the end, and the one that the end's event begins (for its ingestion alone).
    select
        starts.project_id,
        starts.order_id,
        starts.cycle_rule_id,
        intervals.is_urgent,
        min(intervals.entered_at) as started_at,
        max(case when intervals.interval_number = ends.end_number then intervals.entered_at end) as ended_at,
        count(*) filter (where intervals.interval_number < ends.end_number and intervals.working_seconds is null) as unknown,
        sum(intervals.elapsed_seconds) filter (where intervals.interval_number < ends.end_number) as duration_seconds,
        sum(intervals.working_seconds) filter (where intervals.interval_number < ends.end_number) as working_seconds,
        max(
            case stages.sla_state when 'over' then 3 when 'near' then 2 when 'ok' then 1 end
        ) filter (where ends.end_number is null or intervals.interval_number < ends.end_number) as worst_state,
        max(intervals.ingested_at) as updated_at
    from starts
    left join ends
        on starts.project_id = ends.project_id
        and starts.order_id = ends.order_id
        and starts.cycle_rule_id = ends.cycle_rule_id
    inner join {{ ref('fct_order_status_intervals') }} as intervals
        on starts.project_id = intervals.project_id
        and starts.order_id = intervals.order_id
        and starts.start_number <= intervals.interval_number
        and (ends.end_number is null or intervals.interval_number <= ends.end_number)
    left join {{ ref('fct_order_stages') }} as stages
        on intervals.project_id = stages.project_id
        and intervals.order_id = stages.order_id
        and intervals.status_group_id = stages.status_group_id
    group by starts.project_id, starts.order_id, starts.cycle_rule_id, intervals.is_urgent
)

select
    project_id,
    order_id,
    cycle_rule_id,
    started_at,
    ended_at,
    cast(duration_seconds as numeric(20, 6)) as duration_seconds,
    cast(case when unknown = 0 then working_seconds end as numeric(20, 6)) as working_seconds,
    is_urgent,
    case worst_state when 3 then 'over' when 2 then 'near' when 1 then 'ok' end as sla_state,
    updated_at
from passed
