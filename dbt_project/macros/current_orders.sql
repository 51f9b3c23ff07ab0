{#
  Rows of int_orders__latest (`relation`) at the instant of reading: the clock of the open stage has run on, and its state is
  a comparison of two instants with the time of day. Plain joins by key and nothing else, so that a query of the view is
  planned as one of the relation: its limit and order reach the indexes.
#}
{% macro orders_now(relation) -%}
{#- Read once per query, not per row. -#}
{%- set now_us = '(select ' ~ epoch_us(current_instant()) ~ ')' -%}
{%- set stage_working_us -%}
    latest.stage_worked_us + case
        when not latest.is_open then 0
        when latest.entered_us > {{ now_us }} then 0
        when latest.is_always_open then {{ now_us }} - latest.entered_us
        else {{ worked_us('today', us_in_day(now_us)) }} - {{ worked_us('entry_day', us_in_day('latest.entered_us')) }}
    end
{%- endset -%}
select
    latest.project_id,
    latest.order_id,
    latest.order_created_at,
    latest.started_at,
    latest.last_status_id,
    latest.last_status_name,
    latest.last_status_group_id,
    latest.last_status_group_name,
    latest.last_changed_at,
    latest.is_closed,
    latest.closed_at,
    latest.is_urgent,
    -- An event dated in the future has not begun to count.
    {{ seconds_of(stage_working_us) }} as stage_working_seconds,
    latest.sla_limit_seconds,
    {{ sla_state_at(current_instant(), 'latest.near_from', 'latest.over_after') }} as sla_state,
    latest.sla_near_at,
    latest.sla_due_at,
    latest.sla_over_at,
    latest.delivery_entered_at,
    latest.cycle_rule_id_applied,
    latest.cycle_duration_to_delivery,
    latest.near_from,
    latest.over_after,
    latest.changed_key,
    latest.created_key,
    latest.due_key,
    {{ stage_working_us }} as stage_working_us
from {{ relation }} as latest
left join {{ ref('int_calendars__days') }} as today
    on latest.calendar_id = today.calendar_id
    and {{ day_of_us(now_us) }} = today.day_number
left join {{ ref('int_calendars__days') }} as entry_day
    on latest.calendar_id = entry_day.calendar_id
    and {{ day_of_us('latest.entered_us') }} = entry_day.day_number
{%- endmacro %}
