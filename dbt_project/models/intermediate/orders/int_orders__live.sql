{{ config(materialized='view') }}
-- Orders that were written since the last build or the last folding, computed now. depends_on: {{ ref('int_orders__latest') }}
{{ orders_now(live_orders()) }}
