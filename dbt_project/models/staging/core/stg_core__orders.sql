select
    project_id,
    order_id,
    source_id,
    status_id,
    status_group_id,
    customer_id,
    manager_id,
    grand_total,
    currency,
    payment_status,
    is_deleted,
    ordered_at,
    order_created_at,
    closed_at as crm_closed_at
from {{ source('core', 'orders') }}
