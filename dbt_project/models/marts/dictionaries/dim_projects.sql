{{ config(key=['project_id']) }}
select
    projects.project_id,
    projects.project_name,
    projects.crm,
    projects.time_zone,
    projects.region,
    projects.currency,
    projects.is_enabled,
    projects.near_threshold,
    cycles.cycle_rule_id as default_cycle_rule_id,
    cycles.cycle_title as default_cycle_title,
    calendars.is_always_open as is_default_always_open
from {{ ref('stg_config__projects') }} as projects
inner join {{ ref('int_calendars__effective') }} as calendars
    on projects.project_id = calendars.project_id
    and calendars.calendar_group_id = ''
left join {{ ref('stg_config__cycle_rules') }} as cycles
    on projects.project_id = cycles.project_id
    and cycles.is_default
