-- Each distinct path that orders have taken through the statuses. Orders still under way are counted apart: their path is
-- only the beginning of one.
with histories as (
    select
        intervals.project_id,
        intervals.order_id,
        intervals.is_urgent,
        bool_or(
            intervals.left_at is null and (intervals.is_closing or coalesce(status_groups.is_cancelled, false))
        ) as is_ended,
        {{ collect('intervals.status_id', 'intervals.interval_number', 'true') }} as status_ids,
        {{ collect(
            'coalesce(intervals.status_name, intervals.status_id)', 'intervals.interval_number', 'true'
        ) }} as status_names,
        {{ sum_of_closed('intervals.elapsed_seconds', 'intervals.left_at') }} as elapsed_seconds,
        {{ sum_of_closed('intervals.working_seconds', 'intervals.left_at') }} as working_seconds
    from {{ ref('fct_order_status_intervals') }} as intervals
    left join {{ ref('int_status_groups__resolved') }} as status_groups
        on intervals.project_id = status_groups.project_id
        and intervals.status_group_id = status_groups.status_group_id
    group by intervals.project_id, intervals.order_id, intervals.is_urgent
),

measured as (
    select
        histories.project_id,
        histories.is_urgent,
        histories.is_ended,
        histories.status_ids,
        {{ join_list('histories.status_names', ' > ') }} as status_path,
        histories.elapsed_seconds,
        histories.working_seconds,
        cycles.duration_seconds as cycle_seconds
    from histories
    inner join {{ ref('dim_projects') }} as projects on histories.project_id = projects.project_id
    left join {{ ref('order_cycle_metrics') }} as cycles
        on histories.project_id = cycles.project_id
        and histories.order_id = cycles.order_id
        and projects.default_cycle_rule_id = cycles.cycle_rule_id
)

select
    project_id,
    is_urgent,
    is_ended,
    {{ list_hash('status_ids') }} as variant_id,
    max(status_path) as status_path,
    status_ids,
    count(*) as orders,
    {{ share('count(*)', 'sum(count(*)) over (partition by project_id, is_urgent, is_ended)') }} as orders_share,
    {{ percentile(0.5, us_of('elapsed_seconds')) }} as median_elapsed_seconds,
    {{ percentile(0.9, us_of('elapsed_seconds')) }} as p90_elapsed_seconds,
    {{ percentile(0.5, us_of('working_seconds')) }} as median_working_seconds,
    {{ percentile(0.9, us_of('working_seconds')) }} as p90_working_seconds,
    count(cycle_seconds) as cycles,
    {{ percentile(0.5, us_of('cycle_seconds')) }} as median_cycle_seconds
from measured
group by project_id, is_urgent, is_ended, status_ids
