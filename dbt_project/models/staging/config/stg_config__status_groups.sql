select
    project_id,
    status_group_id,
    name as status_group_name
from {{ source('config', 'status_groups') }}
