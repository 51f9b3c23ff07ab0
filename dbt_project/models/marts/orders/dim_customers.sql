{{ config(materialized='view') }}
-- A CRM's customers, per project. customer_key is what facts join by; person_key is the same in all projects that know
-- the person: by phone, else by e-mail address. Projects with health data are left out of it.
with medical as (
    select distinct project_id
    from {{ ref('stg_core__transactions') }}
    where is_medical
)

select
    customers.project_id || '/' || customers.customer_id as customer_key,
    case
        when medical.project_id is not null then customers.project_id || '/' || customers.customer_id
        else coalesce(
            customers.phone_e164,
            emails.phone_e164,
            lower(customers.email),
            customers.project_id || '/' || customers.customer_id
        )
    end as person_key,
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
left join {{ ref('int_customers__emails') }} as emails on lower(customers.email) = emails.email
left join medical on customers.project_id = medical.project_id
