{{ config(materialized='view', scope='orders') }}
-- Lines of the orders, and whether a line alone makes its order urgent.
select
    items.project_id,
    items.order_id,
    items.line_number,
    items.item_id,
    items.product_id,
    items.offer_id,
    items.sku,
    items.item_name,
    items.quantity,
    items.unit_type,
    items.price,
    items.price_sold,
    items.purchased_price,
    items.total_discount,
    orders.currency,
    exists (
        select 1
        from {{ ref('stg_config__urgent_rules') }} as rules
        where
            rules.is_active
            and rules.project_id = items.project_id
            and rules.match_value = case rules.match_by
                when 'sku' then items.sku
                when 'offer_id' then items.offer_id
                when 'product_id' then items.product_id
            end
    ) as is_urgent_item
from {{ ref('stg_core__order_items') }} as items
inner join {{ ref('stg_config__projects') }} as projects on items.project_id = projects.project_id
left join {{ ref('stg_core__orders') }} as orders
    on items.project_id = orders.project_id
    and items.order_id = orders.order_id
