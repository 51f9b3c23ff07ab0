{{ config(key=['calendar_id'], indexes=[{'columns': ['project_id', 'calendar_group_id'], 'unique': true}]) }}
-- One row per calendar that can differ: each project's default (calendar_group_id ''), and each status group that has
-- windows or exceptions of its own. Every other group has its project's default.
with projects as (
    select * from {{ ref('stg_config__projects') }}
),

calendars as (
    select * from {{ ref('stg_config__calendars') }}
),

exceptions as (
    select distinct project_id, status_group_id from {{ ref('stg_config__calendar_exceptions') }}
),

needed as (
    select project_id, '' as calendar_group_id from projects
    union
    select project_id, status_group_id from calendars
    union
    select project_id, status_group_id from exceptions where status_group_id <> '*'
)

select
    {{ stable_key('needed.project_id', 'needed.calendar_group_id') }} as calendar_id,
    needed.project_id,
    needed.calendar_group_id,
    projects.time_zone,
    -- Whose weekly windows it has: its own, else the default's; null: the week is open throughout.
    case
        when own_calendar.project_id is not null then own_calendar.status_group_id
        when default_calendar.project_id is not null then default_calendar.status_group_id
    end as weekly_group_id,
    -- Open day and night, every day: working time is elapsed time, and nothing needs looking up.
    own_calendar.project_id is null
    and default_calendar.project_id is null
    and own_exception.project_id is null
    and every_exception.project_id is null as is_always_open
from needed
inner join projects on needed.project_id = projects.project_id
left join calendars as own_calendar
    on needed.project_id = own_calendar.project_id
    and needed.calendar_group_id = own_calendar.status_group_id
left join calendars as default_calendar
    on needed.project_id = default_calendar.project_id
    and default_calendar.status_group_id = ''
left join exceptions as own_exception
    on needed.project_id = own_exception.project_id
    and needed.calendar_group_id = own_exception.status_group_id
left join exceptions as every_exception
    on needed.project_id = every_exception.project_id
    and every_exception.status_group_id = '*'
