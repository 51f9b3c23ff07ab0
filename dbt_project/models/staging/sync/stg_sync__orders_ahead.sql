select
    project_id,
    order_id
from {{ source('sync', 'orders_ahead') }}
