select
    project_id,
    status_group_id,
    exception_date
from {{ source('config', 'calendar_exceptions') }}
