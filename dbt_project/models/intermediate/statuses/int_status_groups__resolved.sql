{{ config(key=['project_id', 'status_group_id'], indexes=[{'columns': ['project_id', 'status_group_id'], 'unique': true}]) }}
-- One row per status group of a project that anything names, with its name and the calendar its time is measured by;
-- status_group_id '' stands for a group that nothing names, and for none: the project's default calendar.
with reported as (
    select * from {{ ref('stg_core__status_groups') }}
),

overlay as (
    select * from {{ ref('stg_config__status_groups') }}
),

calendars as (
    select * from {{ ref('int_calendars__effective') }}
),

known as (
    select project_id, status_group_id from reported
    union
    select project_id, status_group_id from overlay
    union
    select project_id, status_group_id from {{ ref('int_statuses__overlaid') }} where status_group_id is not null
    union
    select project_id, calendar_group_id from calendars
    union
    select project_id, status_group_id from {{ ref('stg_config__sla_rules') }}
    -- A group whose id means "cancelled" does so before any dictionary has named it: events carry groups too.
    {%- for crm, groups in var('cancelled_groups').items() %}
    {%- for group in groups %}
    union
    select project_id, '{{ group }}' from {{ ref('stg_config__projects') }} where crm = '{{ crm }}'
    {%- endfor %}
    {%- endfor %}
)

select
    known.project_id,
    known.status_group_id,
    coalesce(overlay.status_group_name, reported.status_group_name) as status_group_name,
    coalesce(own.calendar_id, project_default.calendar_id) as calendar_id,
    coalesce(own.is_always_open, project_default.is_always_open) as is_always_open,
    {{ is_cancelled_group(
        'projects.crm', 'known.status_group_id', 'coalesce(overlay.status_group_name, reported.status_group_name)'
    ) }} as is_cancelled
from known
inner join {{ ref('stg_config__projects') }} as projects on known.project_id = projects.project_id
inner join calendars as project_default
    on known.project_id = project_default.project_id
    and project_default.calendar_group_id = ''
left join calendars as own
    on known.project_id = own.project_id
    and known.status_group_id = own.calendar_group_id
left join reported
    on known.project_id = reported.project_id
    and known.status_group_id = reported.status_group_id
left join overlay
    on known.project_id = overlay.project_id
    and known.status_group_id = overlay.status_group_id
