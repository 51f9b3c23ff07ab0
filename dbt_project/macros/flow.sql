{# Which bucket a value falls in: 1 below the first bound, then one more at each bound; 0 if the value is not known. #}
{% macro bucket_number(value, bounds, factor) -%}
    case
        when {{ value }} is null then 0
        {% for bound in bounds -%}
        when {{ value }} < {{ bound * factor }} then {{ loop.index }}
        {% endfor -%}
        else {{ bounds | length + 1 }}
    end
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
