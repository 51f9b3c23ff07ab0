{# Which bucket a whole number falls in: 1 below the first bound, then one more at each bound; 0 if it is not known. #}
{% macro bucket_number(value, bounds, factor) %}{{ return(adapter.dispatch('bucket_number')(value, bounds, factor)) }}{% endmacro %}
{# Each `when` of a case would compute the value once more. #}
{% macro postgres__bucket_number(value, bounds, factor) -%}
    coalesce(width_bucket({{ value }}, cast(array[
        {%- for bound in bounds -%}{{ bound * factor }}{{ ', ' if not loop.last }}{%- endfor -%}
    ] as bigint[])) + 1, 0)
{%- endmacro %}

{# The same bucket in words: `unknown`, `< 1 h`, `1-4 h`, `>= 72 h`. #}
{% macro bucket_label(number, bounds, unit) -%}
    case {{ number }}
        when 0 then 'unknown'
        when 1 then '< {{ bounds[0] }} {{ unit }}'
        {% for bound in bounds[1:] -%}
        when {{ loop.index + 1 }} then '{{ bounds[loop.index0] }}-{{ bound }} {{ unit }}'
        {% endfor -%}
        else '>= {{ bounds[-1] }} {{ unit }}'
    end
{%- endmacro %}
