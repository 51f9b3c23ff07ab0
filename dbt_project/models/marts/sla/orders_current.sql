{{ config(materialized='view', scope='orders') }}
-- Where each order is now: what the last build knows, and in place of it, the orders that were written since.
{%- set columns %}
    project_id,
    order_id,
    order_created_at,
    started_at,
    last_status_id,
    last_status_name,
    last_status_group_id,
    last_status_group_name,
    last_changed_at,
    is_closed,
    closed_at,
    is_urgent,
    stage_working_seconds,
    sla_limit_seconds,
    sla_state,
    sla_near_at,
    sla_due_at,
    sla_over_at,
    delivery_entered_at,
    cycle_rule_id_applied,
    cycle_duration_to_delivery
{%- endset %}
select {{- columns }}
from {{ ref('int_orders__running') }} as running
where not exists (
    select 1
    from {{ ref('stg_sync__changed_orders') }} as changed
    where
        running.project_id = changed.project_id
        and running.order_id = changed.order_id
)

union all

select {{- columns }}
from {{ ref('int_orders__live') }} as live
