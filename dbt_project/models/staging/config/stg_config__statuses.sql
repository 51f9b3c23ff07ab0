select
    project_id,
    status_id,
    name as status_name,
    status_group_id,
    is_closing
from {{ source('config', 'statuses') }}
