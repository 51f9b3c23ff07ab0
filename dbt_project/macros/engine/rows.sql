{# Joins, arrays and percentiles, engine by engine. #}

{# One row for each whole number from `first` to `last`, as {alias}.n; for the end of a FROM clause. #}
{% macro join_series(alias, first, last) %}{{ return(adapter.dispatch('join_series')(alias, first, last)) }}{% endmacro %}
{% macro postgres__join_series(alias, first, last) -%}
    cross join lateral generate_series(cast({{ first }} as bigint), cast({{ last }} as bigint)) as {{ alias }} (n)
{%- endmacro %}

{# The first row of `relation` that satisfies `condition`, or nulls. On PostgreSQL one index look-up per row. #}
{% macro join_first(alias, relation, condition, order_by) %}
    {{- return(adapter.dispatch('join_first')(alias, relation, condition, order_by)) -}}
{% endmacro %}
{% macro postgres__join_first(alias, relation, condition, order_by) -%}
    left join lateral (
        select * from {{ relation }} as candidate where {{ condition }} order by {{ order_by }} limit 1
    ) as {{ alias }} on true
{%- endmacro %}

{# All rows of `relation` that satisfy `condition`, for the end of a FROM clause. On PostgreSQL a look-up for each row before it,
   also where the planner, which knows little of ranges of another table, would read all of the relation: `offset`. #}
{% macro join_found(alias, relation, condition) %}
    {{- return(adapter.dispatch('join_found')(alias, relation, condition)) -}}
{% endmacro %}
{% macro postgres__join_found(alias, relation, condition) -%}
    cross join lateral (select * from {{ relation }} as candidate where {{ condition }} offset 0) as {{ alias }}
{%- endmacro %}

{# Values of `expression` in the order of `order_by`, of the rows where `condition`; null if there are none. #}
{% macro collect(expression, order_by, condition) %}
    {{- return(adapter.dispatch('collect')(expression, order_by, condition)) -}}
{% endmacro %}
{% macro postgres__collect(expression, order_by, condition) -%}
    array_agg({{ expression }} order by {{ order_by }}) filter (where {{ condition }})
{%- endmacro %}

{# How much of the windows in two parallel arrays (from, to) lies before `x`. #}
{% macro covered_before(from_array, to_array, x) %}
    {{- return(adapter.dispatch('covered_before')(from_array, to_array, x)) -}}
{% endmacro %}
{% macro postgres__covered_before(from_array, to_array, x) -%}
    (
        select cast(sum(greatest(0, least({{ x }}, piece.to_us) - piece.from_us)) as bigint)
        from unnest({{ from_array }}, {{ to_array }}) as piece (from_us, to_us)
    )
{%- endmacro %}

{# Interpolated percentile of whole microseconds, in seconds. PostgreSQL interpolates in float8: exact below 2^53
   microseconds, which is 285 years. #}
{% macro percentile(fraction, expression) %}
    {{- return(adapter.dispatch('percentile')(fraction, expression)) -}}
{% endmacro %}
{% macro postgres__percentile(fraction, expression) -%}
    {{ seconds_of('cast(percentile_cont(' ~ fraction ~ ') within group (order by ' ~ expression ~ ') as bigint)') }}
{%- endmacro %}

{% macro matches_pattern(text, pattern) %}{{ return(adapter.dispatch('matches_pattern')(text, pattern)) }}{% endmacro %}
{% macro postgres__matches_pattern(text, pattern) -%}
    ({{ text }} ~* '{{ pattern }}')
{%- endmacro %}

{# A whole number that always stands for the same pair of texts, and for no other (one chance in 10^13 for 1000 pairs; a
   test looks). #}
{% macro stable_key(first, second) %}{{ return(adapter.dispatch('stable_key')(first, second)) }}{% endmacro %}
{% macro postgres__stable_key(first, second) -%}
    hashtextextended({{ first }} || '/' || {{ second }}, 0)
{%- endmacro %}
