select
    project_id,
    external_id,
    crm,
    occurred_at,
    amount,
    currency,
    customer_id,
    phone_e164,
    email,
    description,
    order_id,
    is_medical,
    state,
    source
from {{ source('core', 'transactions') }}
