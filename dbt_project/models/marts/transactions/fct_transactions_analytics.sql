{{ config(materialized='view') }}
-- What cross-promotion and analytics may read: no health data, and no column that is about it.
select
    external_id,
    project_id,
    crm,
    occurred_at,
    amount,
    currency,
    customer_id,
    customer_key,
    phone_e164,
    description,
    order_id,
    state,
    source
from {{ ref('fct_transactions') }}
where not is_medical
