{{
    config(
        scope='projects',
        key=['project_id', 'is_urgent', 'is_ended', 'variant_id'],
        indexes=[{'columns': ['orders desc', 'project_id', 'is_urgent', 'is_ended', 'variant_id']}],
    )
}}
-- Each distinct path that orders have taken through the statuses, with its share: one more order changes the share of every
-- path of its project, so that these are computed anew together, from paths that are counted already.
select
    variants.project_id,
    variants.is_urgent,
    variants.is_ended,
    variants.variant_id,
    variants.status_path,
    variants.status_ids,
    variants.orders,
    {{ share(
        'variants.orders',
        'sum(variants.orders) over (partition by variants.project_id, variants.is_urgent, variants.is_ended)'
    ) }} as orders_share,
    variants.median_elapsed_seconds,
    variants.p90_elapsed_seconds,
    variants.median_working_seconds,
    variants.p90_working_seconds,
    variants.cycles,
    variants.median_cycle_seconds
from {{ ref('int_flow__variants') }} as variants
{{ only_changed_projects('variants') }}
