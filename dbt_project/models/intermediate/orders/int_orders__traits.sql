{{ config(scope='orders', live=true, key=['project_id', 'order_id'], indexes=[{'columns': ['project_id', 'order_id'], 'unique': true}]) }}
-- Orders that differ from the rule: urgent by an item, or set by hand. An order without a row here is not urgent and has
-- neither an SLA profile nor cycle groups of its own.
with matched as (
    select distinct
        items.project_id,
        items.order_id
    from {{ ref('stg_core__order_items') }} as items
    {{ only_changed_orders('items') }}
    inner join {{ ref('stg_config__urgent_rules') }} as rules
        on items.project_id = rules.project_id
        and rules.match_value = case rules.match_by
            when 'sku' then items.sku
            when 'offer_id' then items.offer_id
            when 'product_id' then items.product_id
        end
    where rules.is_active
),

overrides as (
    select overrides.* from {{ ref('stg_config__order_overrides') }} as overrides {{ only_changed_orders('overrides') }}
)

select
    coalesce(overrides.project_id, matched.project_id) as project_id,
    coalesce(overrides.order_id, matched.order_id) as order_id,
    coalesce(overrides.is_urgent, matched.order_id is not null) as is_urgent,
    overrides.sla_profile,
    overrides.cycle_start,
    overrides.cycle_end
from matched
full outer join overrides
    on matched.project_id = overrides.project_id
    and matched.order_id = overrides.order_id
