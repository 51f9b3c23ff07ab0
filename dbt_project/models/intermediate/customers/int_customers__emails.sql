{{ config(materialized='view') }}
-- Whose e-mail address it is: the one phone that customers with it have. An address that goes with several phones (of a
-- family, of a company) says nothing of a person and is left out.
with medical as (
    select distinct project_id
    from {{ ref('stg_core__transactions') }}
    where is_medical
)

select
    lower(customers.email) as email,
    min(customers.phone_e164) as phone_e164
from {{ ref('stg_core__customers') }} as customers
left join medical on customers.project_id = medical.project_id
where
    medical.project_id is null
    and customers.email is not null
    and customers.phone_e164 is not null
group by lower(customers.email)
having min(customers.phone_e164) = max(customers.phone_e164)
