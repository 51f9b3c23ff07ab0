{#
  Whether a status group means "cancelled". CRMs of var `cancelled_groups` go by the ids listed there (KeyCRM: group 6,
  whose id is fixed by the vendor while its name can be edited); others by the group's name, in the languages our users'
  accounts are in.
#}
{% macro is_cancelled_group(crm, group_id, group_name) -%}
    coalesce(
        case {{ crm }}
            {% for name, groups in var('cancelled_groups').items() -%}
            when '{{ name }}' then {{ group_id }} in ('{{ groups | join("', '") }}')
            {% endfor -%}
            else {{ matches_pattern(group_name, 'cancel|annul|lost|скасов|відмін|відмов|отмен|отказ') }}
        end,
        false
    )
{%- endmacro %}
