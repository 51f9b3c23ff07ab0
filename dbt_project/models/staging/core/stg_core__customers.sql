select
    project_id,
    customer_id,
    full_name,
    phone_e164,
    email,
    company_id,
    manager_id,
    birthday,
    is_deleted,
    source_created_at as customer_created_at,
    source_updated_at as customer_updated_at
from {{ source('core', 'customers') }}
