{{ config(materialized='view', scope='orders') }}
-- Orders as the last build knew them, at the instant of reading.
{{ orders_now(ref('int_orders__latest')) }}
