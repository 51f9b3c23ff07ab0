select
    project_id,
    name as project_name,
    crm,
    timezone as time_zone,
    region,
    currency,
    is_enabled,
    near_threshold
from {{ source('config', 'projects') }}
