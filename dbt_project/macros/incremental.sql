{#
  Marks in a model where an incremental build reads less. As written, they let the model read everything, which is also what
  dbt shows and unit tests run; macros/engine/incremental.sql puts the narrower joins in their place.
#}

{# After a relation in a FROM clause: only rows of the orders that changed. #}
{% macro only_changed_orders(alias) -%}
    /* only changed orders: {{ alias }} */
{%- endmacro %}

{# After a relation in a FROM clause: only rows of the projects in which anything changed. #}
{% macro only_changed_projects(alias) -%}
    /* only changed projects: {{ alias }} */
{%- endmacro %}

{# After `relation` in a FROM clause: only its rows of the model's keys that changed facts touch. `condition` joins them with
   `changed_keys`, which has the columns of the key. #}
{% macro only_changed_keys(relation, condition) -%}
    /* only changed keys: {{ relation }} {{ condition }} */
{%- endmacro %}

{# After a relation in a FROM clause: each row once per grain, with the period in which its instant falls (periods.grain,
   periods.period_start); only periods in which anything changed. `alias`, with a project_id, stands for rows of `relation`. #}
{% macro join_periods(relation, alias, instant, time_zone) -%}
    /* periods: {{ relation }} {{ alias }} {{ instant }} {{ time_zone }} */
    cross join lateral (
        select
            grains.grain,
            {{ period_start('grains.grain', alias ~ '.' ~ instant, time_zone) }} as period_start
        from {{ grains() }}
    ) as periods
    /* end of periods */
{%- endmacro %}
