{#- Each filter of database/repositories/orders.py finds its first page as a range of one of these, and what is hidden
    (shown_orders.py) is counted by them. -#}
{%- set with_limit = 'over_after is not null' -%}
{%- set of_states = [
    'project_id', 'over_after', 'near_from', 'last_status_group_id', 'last_status_id', 'order_id',
] -%}
{#- All that rpt_ageing reads of them. -#}
{%- set of_open_orders = [
    'project_id', 'last_status_group_id', 'is_urgent', 'started_at', 'order_created_at', 'near_from', 'over_after', 'is_open',
    'entered_us', 'calendar_id', 'is_always_open', 'stage_worked_us', 'order_id',
] -%}
{%- set indexes = [
    {'columns': ['project_id', 'order_id text_pattern_ops'], 'unique': true},
    {'columns': ['project_id', 'changed_key', 'order_id']},
    {'columns': ['project_id', 'created_key', 'order_id', 'changed_key']},
    {'columns': ['project_id', 'due_key', 'order_id', 'near_from', 'over_after']},
    {'columns': ['project_id', 'is_closed', 'changed_key', 'order_id', 'last_status_group_id', 'last_status_id']},
    {'columns': ['project_id', 'created_key', 'order_id'], 'where': 'not is_closed'},
    {'columns': of_open_orders, 'where': 'not is_closed'},
    {'columns': ['project_id', 'last_status_group_id', 'changed_key', 'order_id', 'is_closed']},
    {'columns': ['project_id', 'last_status_id', 'changed_key', 'order_id', 'is_closed']},
    {'columns': ['project_id', 'changed_key', 'order_id'], 'where': 'is_urgent'},
    {'columns': ['project_id', 'changed_key', 'order_id', 'near_from', 'over_after'], 'where': with_limit},
    {'columns': of_states, 'where': with_limit},
] -%}
{{
    config(
        scope='orders',
        live=true,
        key=['project_id', 'order_id'],
        in_place=true,
        recheck='is_open and sla_limit_seconds is not null and num_nulls(sla_near_at, sla_due_at, sla_over_at) > 0',
        pre_hook='{{ wait_for_folding() }}',
        post_hook=['{{ unfold_orders() }}', '{{ create_live_functions() }}'],
        indexes=indexes,
    )
}}
-- What is known of each order up to its last event; orders_current adds the running clock. Orders without status events
-- are here too, with the status that the CRM reports; those deleted in the CRM are not.
with projects as (
    select * from {{ ref('stg_config__projects') }}
),

orders as (
    select orders.* from {{ ref('stg_core__orders') }} as orders {{ only_changed_orders('orders') }}
),

traits as (
    select * from {{ ref('int_orders__traits') }}
),

default_cycles as (
    select * from {{ ref('stg_config__cycle_rules') }} where is_default
),

last_intervals as (
    select intervals.*
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_changed_orders('intervals') }}
    where intervals.left_at is null
),

first_intervals as (
    select
        intervals.project_id,
        intervals.order_id,
        intervals.entered_at
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_changed_orders('intervals') }}
    where intervals.interval_number = 1
),

deliveries as (
    select
        intervals.project_id,
        intervals.order_id,
        min(intervals.entered_at) as delivery_entered_at
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_changed_orders('intervals') }}
    inner join default_cycles on intervals.project_id = default_cycles.project_id
    left join traits
        on intervals.project_id = traits.project_id
        and intervals.order_id = traits.order_id
    where
        intervals.status_group_id = coalesce(traits.cycle_end, default_cycles.end_group_id)
        or (traits.cycle_end is null and intervals.status_id = default_cycles.end_status_id)
    group by intervals.project_id, intervals.order_id
),

-- When the CRM made an order that has not been read itself.
creations as (
    select
        events.project_id,
        events.order_id,
        min(events.order_created_at) as order_created_at
    from {{ ref('stg_core__order_status_events') }} as events
    {{ only_changed_orders('events') }}
    left join orders
        on events.project_id = orders.project_id
        and events.order_id = orders.order_id
    where orders.order_created_at is null and events.order_created_at is not null
    group by events.project_id, events.order_id
),

known as (
    select
        coalesce(last_intervals.project_id, orders.project_id) as project_id,
        coalesce(last_intervals.order_id, orders.order_id) as order_id,
        orders.order_created_at,
        coalesce(last_intervals.status_id, orders.status_id) as status_id,
        case
            when last_intervals.order_id is null then orders.status_group_id else last_intervals.status_group_id
        end as status_group_id,
        last_intervals.entered_at,
        last_intervals.is_open,
        last_intervals.is_closing,
        orders.crm_closed_at
    from last_intervals
    full outer join orders
        on last_intervals.project_id = orders.project_id
        and last_intervals.order_id = orders.order_id
    where not coalesce(orders.is_deleted, false)
),

described as (
    select
        known.*,
        statuses.status_name,
        coalesce(known.status_group_id, statuses.status_group_id) as group_id,
        coalesce(known.is_closing, statuses.is_closing, false) as is_closed
    from known
    left join {{ ref('int_statuses__overlaid') }} as statuses
        on known.project_id = statuses.project_id
        and known.status_id = statuses.status_id
),

placed as (
    select
        described.*,
        status_groups.status_group_name,
        {{ epoch_us('described.entered_at') }} as entered_us,
        coalesce(status_groups.calendar_id, project_default.calendar_id) as calendar_id,
        coalesce(status_groups.is_always_open, project_default.is_always_open) as is_always_open
    from described
    inner join projects on described.project_id = projects.project_id
    inner join {{ ref('int_status_groups__resolved') }} as project_default
        on described.project_id = project_default.project_id
        and project_default.status_group_id = ''
    left join {{ ref('int_status_groups__resolved') }} as status_groups
        on described.project_id = status_groups.project_id
        and described.group_id = status_groups.status_group_id
)

select
    placed.project_id,
    placed.order_id,
    coalesce(placed.order_created_at, creations.order_created_at) as order_created_at,
    first_intervals.entered_at as started_at,
    placed.status_id as last_status_id,
    placed.status_name as last_status_name,
    placed.group_id as last_status_group_id,
    placed.status_group_name as last_status_group_name,
    placed.entered_at as last_changed_at,
    placed.is_closed,
    case
        when not placed.is_closed then null
        when placed.entered_at is null then placed.crm_closed_at
        else placed.entered_at
    end as closed_at,
    coalesce(traits.is_urgent, false) as is_urgent,
    coalesce(placed.is_open, false) as is_open,
    placed.entered_us,
    placed.calendar_id,
    placed.is_always_open,
    {{ us_of('stages.working_seconds') }} as stage_worked_us,
    case when placed.is_open then stages.sla_limit_seconds end as sla_limit_seconds,
    due.sla_near_at,
    due.sla_due_at,
    due.sla_over_at,
    due.near_from,
    due.over_after,
    deliveries.delivery_entered_at,
    cycles.cycle_rule_id as cycle_rule_id_applied,
    cycles.duration_seconds as cycle_duration_to_delivery,
    -- What pages of orders are sorted by: never null, so that a page can go on from any row.
    coalesce(placed.entered_at, {{ long_ago() }}) as changed_key,
    coalesce(placed.order_created_at, creations.order_created_at, {{ long_ago() }}) as created_key,
    coalesce(due.sla_due_at, {{ never() }}) as due_key
from placed
left join first_intervals
    on placed.project_id = first_intervals.project_id
    and placed.order_id = first_intervals.order_id
left join creations
    on placed.project_id = creations.project_id
    and placed.order_id = creations.order_id
left join traits
    on placed.project_id = traits.project_id
    and placed.order_id = traits.order_id
left join {{ ref('fct_order_stages') }} as stages
    on placed.project_id = stages.project_id
    and placed.order_id = stages.order_id
    and placed.group_id = stages.status_group_id
    and stages.is_current
left join {{ ref('int_orders__due') }} as due
    on placed.project_id = due.project_id
    and placed.order_id = due.order_id
left join deliveries
    on placed.project_id = deliveries.project_id
    and placed.order_id = deliveries.order_id
left join default_cycles on placed.project_id = default_cycles.project_id
left join {{ ref('order_cycle_metrics') }} as cycles
    on placed.project_id = cycles.project_id
    and placed.order_id = cycles.order_id
    and default_cycles.cycle_rule_id = cycles.cycle_rule_id
