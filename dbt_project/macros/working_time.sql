{#
  Working microseconds of a calendar from its first day up to a moment: those before the moment's UTC day plus what of the
  day's windows has passed. `day` is the alias of the joined row of int_calendars__days, `x` the microseconds into the day.
  No row (the moment lies outside the calendar) gives null: worked_before_us is null then, and null stays null.
  Nearly every UTC day has at most two windows, which stand in columns (0, 0 if there is none); the rest are in arrays.
#}
{% macro worked_us(day, x) -%}
    ({{ day }}.worked_before_us
        + greatest(0, least({{ x }}, {{ day }}.closes_1_us) - {{ day }}.opens_1_us)
        + greatest(0, least({{ x }}, {{ day }}.closes_2_us) - {{ day }}.opens_2_us)
        + case
            when {{ day }}.more_opens_us is null then 0
            else {{ covered_before(day ~ '.more_opens_us', day ~ '.more_closes_us', x) }}
        end)
{%- endmacro %}

{# State of a stage by its working seconds, `near_seconds` being the limit times the project's threshold; null without a
   limit, and null if the seconds are not known. #}
{% macro sla_state(working_seconds, limit_seconds, near_seconds) -%}
    case
        when {{ limit_seconds }} is null or {{ working_seconds }} is null then null
        when {{ working_seconds }} > {{ limit_seconds }} then 'over'
        when {{ working_seconds }} >= {{ near_seconds }} then 'near'
        else 'ok'
    end
{%- endmacro %}

{# The same as a comparison with the time of day: `near_from` and `over_after` of int_orders__due. #}
{% macro sla_state_at(instant, near_from, over_after) -%}
    case
        when {{ over_after }} is null then null
        when {{ instant }} > {{ over_after }} then 'over'
        when {{ instant }} >= {{ near_from }} then 'near'
        else 'ok'
    end
{%- endmacro %}

{# From when a state holds: null if the working time is not known, without end if the calendar never gets there. #}
{% macro state_instant(reached_at, is_open, is_known) -%}
    case
        when not {{ is_open }} then {{ long_ago() }}
        when {{ is_known }} then coalesce({{ reached_at }}, {{ never() }})
    end
{%- endmacro %}

{# Sum over closed intervals. One that is not known makes the sum unknown, and not smaller. #}
{% macro sum_of_closed(column, left_at) -%}
    case
        when count(*) filter (where {{ left_at }} is not null and {{ column }} is null) = 0
            then coalesce(sum({{ column }}) filter (where {{ left_at }} is not null), 0)
    end
{%- endmacro %}
