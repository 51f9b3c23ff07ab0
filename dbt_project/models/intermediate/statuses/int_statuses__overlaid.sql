{{ config(key=['project_id', 'status_id'], indexes=[{'columns': ['project_id', 'status_id'], 'unique': true}]) }}
-- One row per status: what the settings say goes before what the CRM reports.
with reported as (
    select * from {{ ref('stg_core__statuses') }}
),

overlay as (
    select * from {{ ref('stg_config__statuses') }}
),

known as (
    select project_id, status_id from reported
    union
    select project_id, status_id from overlay
)

select
    known.project_id,
    known.status_id,
    coalesce(overlay.status_name, reported.status_name) as status_name,
    reported.status_alias,
    coalesce(overlay.status_group_id, reported.status_group_id) as status_group_id,
    coalesce(overlay.is_closing, reported.is_closing, false) as is_closing,
    coalesce(reported.is_active, true) as is_active
from known
left join reported
    on known.project_id = reported.project_id
    and known.status_id = reported.status_id
left join overlay
    on known.project_id = overlay.project_id
    and known.status_id = overlay.status_id
