select
    project_id,
    order_id,
    line_number,
    item_id,
    product_id,
    offer_id,
    sku,
    name as item_name,
    quantity,
    price,
    price_sold,
    purchased_price,
    total_discount,
    unit_type
from {{ source('core', 'order_items') }}
