select
    project_id,
    status_group_id
from {{ source('config', 'calendars') }}
