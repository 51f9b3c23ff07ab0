{# Lists of values, engine by engine. #}

{# The elements of a list of text as one text, with a separator between them. #}
{% macro join_list(list, separator) %}{{ return(adapter.dispatch('join_list')(list, separator)) }}{% endmacro %}
{% macro postgres__join_list(list, separator) -%}
    array_to_string({{ list }}, '{{ separator }}')
{%- endmacro %}

{# A key of a list of text that is short and the same on every engine: md5 of the list as JSON without spaces. #}
{% macro list_hash(list) %}{{ return(adapter.dispatch('list_hash')(list)) }}{% endmacro %}
{% macro postgres__list_hash(list) -%}
    md5(cast(array_to_json({{ list }}) as text))
{%- endmacro %}

{% macro list_length(list) %}{{ return(adapter.dispatch('list_length')(list)) }}{% endmacro %}
{% macro postgres__list_length(list) -%}
    cardinality({{ list }})
{%- endmacro %}
