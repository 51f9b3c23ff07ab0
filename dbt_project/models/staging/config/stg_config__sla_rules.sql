select
    project_id,
    profile as sla_profile,
    status_group_id,
    limit_seconds
from {{ source('config', 'sla_rules') }}
