select
    project_id,
    stream,
    updated_at as cursor_updated_at
from {{ source('sync', 'cursors') }}
