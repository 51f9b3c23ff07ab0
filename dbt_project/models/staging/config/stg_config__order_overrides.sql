select
    project_id,
    order_id,
    is_urgent,
    sla_profile,
    cycle_start,
    cycle_end
from {{ source('config', 'order_overrides') }}
