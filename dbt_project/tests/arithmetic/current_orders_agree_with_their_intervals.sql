{{ config(meta={'dagster': {'ref': {'name': 'orders_current'}}}) }}
-- orders_current has each order with events that is not deleted, in the status of its last interval; what it says of the
-- stage is never less than the stage's closed intervals. Orders that were written since the build began are ahead of it.
with last_intervals as (
    select intervals.*
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_tested_orders('intervals', ['int_orders__latest']) }}
    left join {{ ref('stg_core__orders') }} as orders
        on intervals.project_id = orders.project_id
        and intervals.order_id = orders.order_id
    where
        intervals.left_at is null
        and not coalesce(orders.is_deleted, false)
        and {{ not_written_since('intervals') }}
)

select
    last_intervals.project_id,
    last_intervals.order_id
from last_intervals
left join {{ ref('orders_current') }} as orders_current
    on last_intervals.project_id = orders_current.project_id
    and last_intervals.order_id = orders_current.order_id
left join {{ ref('fct_order_stages') }} as stages
    on last_intervals.project_id = stages.project_id
    and last_intervals.order_id = stages.order_id
    and last_intervals.status_group_id = stages.status_group_id
where
    last_intervals.status_id is distinct from orders_current.last_status_id
    or last_intervals.entered_at is distinct from orders_current.last_changed_at
    or last_intervals.is_closing is distinct from orders_current.is_closed
    or stages.working_seconds > orders_current.stage_working_seconds
