select
    project_id,
    order_id
from {{ source('sync', 'changed_orders') }}
