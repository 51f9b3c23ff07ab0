select
    project_id,
    order_id,
    utm_source,
    utm_medium,
    utm_campaign,
    utm_term,
    utm_content,
    fbclid,
    gclid,
    source as marketing_source
from {{ source('core', 'order_marketing') }}
