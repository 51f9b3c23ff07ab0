{# The calendar of a status group, or of no group (null): its own, else its project's default. No row: unknown project. #}
{% macro calendar_of(project, status_group) -%}
    (
        select
            calendar_id,
            is_always_open
        from {{ ref('int_calendars__effective') }}
        where
            project_id = {{ project }}
            and calendar_group_id in ('', coalesce({{ status_group }}, ''))
        order by calendar_group_id desc
        limit 1
    )
{%- endmacro %}
