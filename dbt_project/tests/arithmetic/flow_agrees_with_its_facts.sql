{{ config(meta={'dagster': {'ref': {'name': 'agg_variants'}}}) }}
-- Per project: each interval is entered once, each order is in one variant and comes in once, variants ended are the orders
-- that ended, and what came into stages less what went out is what is in them on the last day.
with intervals as (
    select
        paths.project_id,
        sum({{ list_length('paths.status_ids') }}) as intervals,
        count(*) as orders
    from {{ ref('int_orders__paths') }} as paths
    {{ only_tested_projects('paths', ['agg_status_transitions', 'agg_variants']) }}
    group by paths.project_id
),

transitions as (
    select project_id, sum(transitions) as intervals, sum(transitions) filter (where from_status_id = '') as orders
    from {{ ref('agg_status_transitions') }}
    group by project_id
),

variants as (
    select project_id, sum(orders) as orders, coalesce(sum(orders) filter (where is_ended), 0) as ended
    from {{ ref('agg_variants') }}
    group by project_id
),

ended as (
    select project_id, sum(orders) as orders
    from {{ ref('rpt_success') }}
    where grain = 'month'
    group by project_id
),

first_pass as (
    select project_id, sum(orders) as orders
    from {{ ref('rpt_first_pass') }}
    where grain = 'month'
    group by project_id
)

select intervals.project_id
from intervals
left join transitions on intervals.project_id = transitions.project_id
left join variants on intervals.project_id = variants.project_id
left join ended on intervals.project_id = ended.project_id
left join first_pass on intervals.project_id = first_pass.project_id
where
    intervals.intervals is distinct from transitions.intervals
    or intervals.orders is distinct from transitions.orders
    or intervals.orders is distinct from variants.orders
    or variants.ended <> coalesce(ended.orders, 0)
    or variants.ended <> coalesce(first_pass.orders, 0)
