{{ config(materialized='view') }}
-- A CRM's customers, per project. customer_key is what facts join by; a person known in several projects will get a key
-- of their own beside it.
select
    customers.project_id || '/' || customers.customer_id as customer_key,
    customers.project_id,
    customers.customer_id,
    customers.full_name,
    customers.phone_e164,
    customers.email,
    customers.company_id,
    customers.manager_id,
    customers.birthday,
    customers.is_deleted,
    customers.customer_created_at,
    customers.customer_updated_at
from {{ ref('stg_core__customers') }} as customers
inner join {{ ref('dim_projects') }} as projects on customers.project_id = projects.project_id
