{{ config(materialized='view', scope='live') }}
-- Open orders now, by how long they have been worked on in their stage and how old they are: those that the last build knows
-- and those that were written since, each counted by itself, so that many of the former are counted by several processes.
with clock as (
    select {{ epoch_us(current_instant()) }} as now_us
),

{%- for counted, relation in [('built', ref('int_orders__running')), ('written', ref('int_orders__live'))] %}

{{ counted }} as (
    select
        orders.project_id,
        coalesce(orders.last_status_group_id, '') as status_group_id,
        orders.is_urgent,
        {{ bucket_number('orders.stage_working_us', var('ageing_working_hours'), 3600000000) }} as working_bucket,
        {{ bucket_number(
            'clock.now_us - ' ~ epoch_us('coalesce(orders.started_at, orders.order_created_at)'),
            var('ageing_days'), us_per_day() | int
        ) }} as age_bucket,
        count(*) as orders,
        {%- for state in ['ok', 'near', 'over'] %}
        count(*) filter (where orders.sla_state = '{{ state }}') as sla_{{ state }},
        {%- endfor %}
        max(orders.stage_working_us) as max_stage_working_us,
        min(coalesce(orders.started_at, orders.order_created_at)) as oldest_begun_at
    from {{ relation }} as orders
    cross join clock
    where
        not orders.is_closed
        {%- if counted == 'built' %}
        and not exists (
            select 1
            from {{ ref('stg_sync__changed_orders') }} as changed
            where
                orders.project_id = changed.project_id
                and orders.order_id = changed.order_id
        )
        {%- endif %}
    group by 1, 2, 3, 4, 5
),
{%- endfor %}

counted as (
    select * from built
    union all
    select * from written
)

select
    counted.project_id,
    counted.status_group_id,
    max(status_groups.status_group_name) as status_group_name,
    counted.is_urgent,
    counted.working_bucket,
    {{ bucket_label('counted.working_bucket', var('ageing_working_hours'), 'h') }} as working_bucket_label,
    counted.age_bucket,
    {{ bucket_label('counted.age_bucket', var('ageing_days'), 'd') }} as age_bucket_label,
    cast(sum(counted.orders) as bigint) as orders,
    cast(sum(counted.sla_ok) as bigint) as sla_ok,
    cast(sum(counted.sla_near) as bigint) as sla_near,
    cast(sum(counted.sla_over) as bigint) as sla_over,
    {{ seconds_of('max(counted.max_stage_working_us)') }} as max_stage_working_seconds,
    min(counted.oldest_begun_at) as oldest_begun_at
from counted
inner join {{ ref('stg_config__projects') }} as projects on counted.project_id = projects.project_id
left join {{ ref('int_status_groups__resolved') }} as status_groups
    on counted.project_id = status_groups.project_id
    and counted.status_group_id = status_groups.status_group_id
where not coalesce(status_groups.is_cancelled, false)
group by counted.project_id, counted.status_group_id, counted.is_urgent, counted.working_bucket, counted.age_bucket
