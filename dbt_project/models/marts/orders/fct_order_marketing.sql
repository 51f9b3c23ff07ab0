{{ config(materialized='view', scope='orders') }}
select
    marketing.project_id,
    marketing.order_id,
    marketing.utm_source,
    marketing.utm_medium,
    marketing.utm_campaign,
    marketing.utm_term,
    marketing.utm_content,
    marketing.fbclid,
    marketing.gclid,
    marketing.marketing_source
from {{ ref('stg_core__order_marketing') }} as marketing
inner join {{ ref('dim_projects') }} as projects on marketing.project_id = projects.project_id
