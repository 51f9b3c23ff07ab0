select
    project_id,
    status_group_id,
    exception_date,
    opens_at,
    closes_at
from {{ source('config', 'calendar_exception_windows') }}
