{{
    config(
        scope='keys',
        key=['project_id', 'is_urgent', 'is_ended', 'variant_id'],
        notes='build_variants',
        indexes=[{'columns': ['project_id', 'variant_id']}],
    )
}}
-- Each distinct path, how many orders took it, and their time. Orders still under way are counted apart: their path is only
-- the beginning of one.
with measured as (
    select
        paths.project_id,
        paths.is_urgent,
        paths.is_ended,
        paths.variant_id,
        paths.status_ids,
        {{ join_list('paths.status_names', ' > ') }} as status_path,
        {{ us_of('paths.elapsed_seconds') }} as elapsed_us,
        {{ us_of('paths.working_seconds') }} as working_us,
        {{ us_of('cycles.duration_seconds') }} as cycle_us
    from {{ ref('int_orders__paths') }} as paths
    {{ only_changed_keys(
        ref('int_orders__paths'),
        'paths.project_id = changed_keys.project_id and paths.variant_id = changed_keys.variant_id'
        ~ ' and paths.is_urgent = changed_keys.is_urgent and paths.is_ended = changed_keys.is_ended'
    ) }}
    inner join {{ ref('dim_projects') }} as projects on paths.project_id = projects.project_id
    left join {{ ref('order_cycle_metrics') }} as cycles
        on paths.project_id = cycles.project_id
        and paths.order_id = cycles.order_id
        and projects.default_cycle_rule_id = cycles.cycle_rule_id
)

select
    project_id,
    is_urgent,
    is_ended,
    variant_id,
    max(status_path) as status_path,
    max(status_ids) as status_ids,
    count(*) as orders,
    {{ percentile(0.5, 'elapsed_us') }} as median_elapsed_seconds,
    {{ percentile(0.9, 'elapsed_us') }} as p90_elapsed_seconds,
    {{ percentile(0.5, 'working_us') }} as median_working_seconds,
    {{ percentile(0.9, 'working_us') }} as p90_working_seconds,
    count(cycle_us) as cycles,
    {{ percentile(0.5, 'cycle_us') }} as median_cycle_seconds
from measured
group by project_id, variant_id, is_urgent, is_ended
