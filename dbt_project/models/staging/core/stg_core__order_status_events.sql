select
    event_id,
    project_id,
    order_id,
    status_id,
    status_group_id,
    status_changed_at,
    order_created_at,
    source as event_source,
    is_approximate,
    ingested_at
from {{ source('core', 'order_status_events') }}
