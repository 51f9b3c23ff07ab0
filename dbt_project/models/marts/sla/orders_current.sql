{{ config(materialized='view') }}
-- Where each order is now. The open stage's clock runs up to the instant at which the view is read.
with clock as (
    select {{ epoch_us(current_instant()) }} as now_us
),

-- Worked up to now, once per calendar.
worked as (
    select
        days.calendar_id,
        {{ worked_us('days', us_in_day('clock.now_us')) }} as worked_us
    from clock
    inner join {{ ref('int_calendars__days') }} as days on {{ day_of_us('clock.now_us') }} = days.day_number
),

-- What the last build knows, and in place of it, the orders that were written since, computed now.
latest as (
    select built.*
    from {{ ref('int_orders__latest') }} as built
    where not exists (
        select 1
        from {{ source('sync', 'changed_orders') }} as changed
        where
            built.project_id = changed.project_id
            and built.order_id = changed.order_id
    )

    union all

    select * from {{ live_orders() }}
),

running as (
    -- An event dated in the future has not begun to count.
    select
        latest.*,
        latest.stage_worked_us + case
            when not latest.is_open then 0
            when latest.entered_us > clock.now_us then 0
            when latest.is_always_open then clock.now_us - latest.entered_us
            else worked.worked_us - {{ worked_us('entry_day', us_in_day('latest.entered_us')) }}
        end as stage_working_us
    from latest
    cross join clock
    left join worked on latest.calendar_id = worked.calendar_id
    left join {{ ref('int_calendars__days') }} as entry_day
        on latest.calendar_id = entry_day.calendar_id
        and {{ day_of_us('latest.entered_us') }} = entry_day.day_number
),

measured as (
    select
        *,
        {{ seconds_of('stage_working_us') }} as stage_working_seconds
    from running
)

select
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
    {{ sla_state('stage_working_seconds', 'sla_limit_seconds', 'near_threshold') }} as sla_state,
    sla_due_at,
    delivery_entered_at,
    cycle_rule_id_applied,
    cycle_duration_to_delivery
from measured
