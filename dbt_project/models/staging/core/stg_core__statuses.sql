select
    project_id,
    status_id,
    name as status_name,
    alias as status_alias,
    status_group_id,
    is_closing,
    is_active
from {{ source('core', 'statuses') }}
