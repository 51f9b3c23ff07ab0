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

running as (
    -- An event dated in the future has not begun to count.
    select
        latest.*,
        latest.stage_worked_us + case
            when not latest.is_open then 0
            when latest.entered_us > clock.now_us then 0
            when latest.is_always_open then clock.now_us - latest.entered_us
            else worked.worked_us - latest.worked_at_entry_us
        end as stage_working_us
    from {{ ref('int_orders__latest') }} as latest
    cross join clock
    left join worked on latest.calendar_id = worked.calendar_id
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
