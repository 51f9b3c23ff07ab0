select
    project_id,
    status_group_id,
    weekday,
    opens_at,
    closes_at
from {{ source('config', 'calendar_windows') }}
