{{
    config(
        scope='orders',
        key=['project_id', 'order_id'],
        indexes=[
            {'columns': ['project_id', 'order_id']},
            {'columns': ['project_id', 'variant_id', 'is_urgent', 'order_id']},
        ],
    )
}}
-- Each order's whole way through the statuses, and what it took.
select
    intervals.project_id,
    intervals.order_id,
    bool_or(intervals.is_urgent) as is_urgent,
    bool_or(
        intervals.left_at is null and (intervals.is_closing or coalesce(status_groups.is_cancelled, false))
    ) as is_ended,
    {{ collect('intervals.status_id', 'intervals.interval_number', 'true') }} as status_ids,
    -- As in agg_variants: the index leads from a path to the orders that took it.
    {{ list_hash(collect('intervals.status_id', 'intervals.interval_number', 'true')) }} as variant_id,
    {{ collect(
        'coalesce(intervals.status_name, intervals.status_id)', 'intervals.interval_number', 'true'
    ) }} as status_names,
    {{ sum_of_closed('intervals.elapsed_seconds', 'intervals.left_at') }} as elapsed_seconds,
    {{ sum_of_closed('intervals.working_seconds', 'intervals.left_at') }} as working_seconds,
    max(intervals.ingested_at) as ingested_at
from {{ ref('fct_order_status_intervals') }} as intervals
{{ only_changed_orders('intervals') }}
left join {{ ref('int_status_groups__resolved') }} as status_groups
    on intervals.project_id = status_groups.project_id
    and intervals.status_group_id = status_groups.status_group_id
group by intervals.project_id, intervals.order_id
