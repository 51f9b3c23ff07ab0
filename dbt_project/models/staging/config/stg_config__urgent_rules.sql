select
    project_id,
    match as match_by,
    value as match_value,
    is_active
from {{ source('config', 'urgent_rules') }}
