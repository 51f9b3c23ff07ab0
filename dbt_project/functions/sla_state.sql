-- The grid is chosen as in fct_order_stages: the named profile, else `urgent` for urgent orders; where that one has no limit
-- for the group, `normal`. A null that could change the answer (the urgency, without a profile) makes it null.
{% set limit_seconds -%}
    case
        when sla_state.sla_profile is not null or sla_state.is_urgent is not null
            then coalesce(special.limit_seconds, normal.limit_seconds)
    end
{%- endset -%}
select
    {{ sla_state('sla_state.working_seconds', limit_seconds, 'projects.near_threshold * (' ~ limit_seconds ~ ')') }}
from {{ ref('stg_config__projects') }} as projects
left join {{ ref('stg_config__sla_rules') }} as special
    on projects.project_id = special.project_id
    and special.status_group_id = sla_state.status_group
    and special.sla_profile = coalesce(sla_state.sla_profile, case when sla_state.is_urgent then 'urgent' end)
left join {{ ref('stg_config__sla_rules') }} as normal
    on projects.project_id = normal.project_id
    and normal.status_group_id = sla_state.status_group
    and normal.sla_profile = 'normal'
where projects.project_id = sla_state.project
