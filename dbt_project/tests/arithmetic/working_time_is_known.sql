{{ config(severity='warn') }}
-- Intervals whose dates lie outside every calendar (before 1970, a century ahead): a slip of the pen in the CRM.
select intervals.*
from {{ ref('fct_order_status_intervals') }} as intervals
{{ only_tested_orders('intervals', ['fct_order_status_intervals']) }}
where left_at is not null and working_seconds is null
