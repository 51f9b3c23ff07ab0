{{ config(materialized='view', scope='live') }}
-- Open orders now, by how long they have been worked on in their stage and how old they are.
with clock as (
    select {{ epoch_us(current_instant()) }} as now_us
),

open_orders as (
    select
        orders.project_id,
        coalesce(orders.last_status_group_id, '') as status_group_id,
        orders.last_status_group_name as status_group_name,
        orders.is_urgent,
        orders.sla_state,
        orders.stage_working_seconds,
        coalesce(orders.started_at, orders.order_created_at) as begun_at,
        {{ seconds_of(
            'clock.now_us - ' ~ epoch_us('coalesce(orders.started_at, orders.order_created_at)')
        ) }} as age_seconds
    from {{ ref('orders_current') }} as orders
    inner join {{ ref('stg_config__projects') }} as projects on orders.project_id = projects.project_id
    cross join clock
    where
        not orders.is_closed
        and not {{ is_cancelled_group('projects.crm', 'orders.last_status_group_id', 'orders.last_status_group_name') }}
),

placed as (
    select
        *,
        {{ bucket_number('stage_working_seconds', var('ageing_working_hours'), 3600) }} as working_bucket,
        {{ bucket_number('age_seconds', var('ageing_days'), 86400) }} as age_bucket
    from open_orders
)

select
    project_id,
    status_group_id,
    max(status_group_name) as status_group_name,
    is_urgent,
    working_bucket,
    {{ bucket_label('working_bucket', var('ageing_working_hours'), 'h') }} as working_bucket_label,
    age_bucket,
    {{ bucket_label('age_bucket', var('ageing_days'), 'd') }} as age_bucket_label,
    count(*) as orders,
    count(*) filter (where sla_state = 'ok') as sla_ok,
    count(*) filter (where sla_state = 'near') as sla_near,
    count(*) filter (where sla_state = 'over') as sla_over,
    cast(max(stage_working_seconds) as numeric(20, 6)) as max_stage_working_seconds,
    min(begun_at) as oldest_begun_at
from placed
group by project_id, status_group_id, is_urgent, working_bucket, age_bucket
