{{ config(materialized='view') }}
-- The sales of every CRM. One that was undone (cancelled, unpaid again, deleted) stays, as reversed.
select
    transactions.external_id,
    transactions.project_id,
    transactions.crm,
    transactions.occurred_at,
    transactions.amount,
    transactions.currency,
    transactions.customer_id,
    transactions.project_id || '/' || transactions.customer_id as customer_key,
    transactions.phone_e164,
    transactions.description,
    transactions.order_id,
    transactions.is_medical,
    transactions.state,
    transactions.source
from {{ ref('stg_core__transactions') }} as transactions
inner join {{ ref('dim_projects') }} as projects on transactions.project_id = projects.project_id
