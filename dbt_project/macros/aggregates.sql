{# The three grains of every aggregate: `(values ...) as grains (grain)`. Group by period_start before grain: a sort that
   compares dates first and texts seldom takes a sixth less. #}
{% macro grains() -%}
    (select 'day' as grain union all select 'week' union all select 'month') as grains
{%- endmacro %}

{# Measures that agg_stage_durations, agg_status_durations and agg_cycle_durations share, over `working_us` and
   `elapsed_us`: whole microseconds, which are summed and sorted several times as fast as numeric seconds. `orders` counts orders: `*` where a fact is an order's only one in the cell, which spares a sort. #}
{% macro duration_measures(orders='*') -%}
    {% for kind in ['working', 'elapsed'] %}
    {{ seconds_of('sum(' ~ kind ~ '_us)') }} as total_{{ kind }}_seconds,
    {{ seconds_of('avg(' ~ kind ~ '_us)') }} as avg_{{ kind }}_seconds,
    {{ percentile(0.5, kind ~ '_us') }} as median_{{ kind }}_seconds,
    {{ percentile(0.9, kind ~ '_us') }} as p90_{{ kind }}_seconds,
    {% endfor %}
    {% for state in ['ok', 'near', 'over'] %}
    count({{ orders }}) filter (where sla_state = '{{ state }}') as sla_{{ state }}{{ ',' if not loop.last }}
    {% endfor %}
{%- endmacro %}

{# Share with four digits; null of nothing. #}
{% macro share(part, whole) -%}
    cast(round(cast({{ part }} as numeric) / nullif({{ whole }}, 0), 4) as numeric(5, 4))
{%- endmacro %}
