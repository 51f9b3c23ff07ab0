{{ config(key=['project_id', 'status_id']) }}
-- Statuses with their groups; what the settings say goes before what the CRM reports.
select
    statuses.project_id,
    statuses.status_id,
    statuses.status_name,
    statuses.status_alias,
    statuses.status_group_id,
    status_groups.status_group_name,
    statuses.is_closing,
    coalesce(status_groups.is_cancelled, false) as is_cancelled,
    statuses.is_active
from {{ ref('int_statuses__overlaid') }} as statuses
inner join {{ ref('stg_config__projects') }} as projects on statuses.project_id = projects.project_id
left join {{ ref('int_status_groups__resolved') }} as status_groups
    on statuses.project_id = status_groups.project_id
    and statuses.status_group_id = status_groups.status_group_id
