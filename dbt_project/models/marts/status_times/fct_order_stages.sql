{{
    config(
        scope='orders',
        live=true,
        key=['project_id', 'order_id', 'status_group_id'],
        notes_dates=true,
        indexes=[{'columns': ['project_id', 'order_id']}],
        pre_hook='{{ group_in_index_order() }}',
    )
}}
-- All intervals of an order in one group. Seconds are those of closed intervals; the clock of the current one runs in
-- orders_current. A status without a group belongs to no stage.
with stages as (
    select
        intervals.project_id,
        intervals.order_id,
        intervals.status_group_id,
        bool_or(intervals.is_urgent) as is_urgent,
        count(*) filter (where intervals.is_stage_entry) as visits,
        min(intervals.entered_at) as first_entered_at,
        max(intervals.left_at) as last_left_at,
        bool_or(intervals.left_at is null) as is_current,
        bool_and(intervals.is_closing) as is_only_closing,
        {{ sum_of_closed('intervals.elapsed_seconds', 'intervals.left_at') }} as elapsed_seconds,
        {{ sum_of_closed('intervals.working_seconds', 'intervals.left_at') }} as working_seconds
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_changed_orders('intervals') }}
    where intervals.status_group_id is not null
    group by intervals.project_id, intervals.order_id, intervals.status_group_id
),

limits as (
    select
        rules.project_id,
        rules.status_group_id,
        rules.sla_profile,
        rules.limit_seconds,
        projects.near_threshold * rules.limit_seconds as near_seconds
    from {{ ref('stg_config__sla_rules') }} as rules
    inner join {{ ref('stg_config__projects') }} as projects on rules.project_id = projects.project_id
),

-- What a stage is judged by, in one row per group: one join for a million stages.
terms as (
    select
        status_groups.project_id,
        status_groups.status_group_id,
        status_groups.status_group_name,
        normal.limit_seconds,
        normal.near_seconds
    from {{ ref('int_status_groups__resolved') }} as status_groups
    left join limits as normal
        on status_groups.project_id = normal.project_id
        and status_groups.status_group_id = normal.status_group_id
        and normal.sla_profile = 'normal'
),

judged as (
    -- The order's own profile, else `urgent` for urgent orders; where that grid has no limit for the group, `normal`.
    -- A stage of closing statuses alone takes no part.
    select
        stages.*,
        terms.status_group_name,
        coalesce(special.near_seconds, terms.near_seconds) as near_seconds,
        case
            when stages.is_only_closing then null
            else coalesce(special.limit_seconds, terms.limit_seconds)
        end as sla_limit_seconds
    from stages
    left join terms
        on stages.project_id = terms.project_id
        and stages.status_group_id = terms.status_group_id
    -- Few orders have a profile of their own, and only those are hashed.
    left join {{ ref('int_orders__traits') }} as traits
        on stages.project_id = traits.project_id
        and stages.order_id = traits.order_id
        and traits.sla_profile is not null
    left join limits as special
        on stages.project_id = special.project_id
        and stages.status_group_id = special.status_group_id
        and special.sla_profile = coalesce(traits.sla_profile, case when stages.is_urgent then 'urgent' end)
)

select
    project_id,
    order_id,
    status_group_id,
    status_group_name,
    visits,
    first_entered_at,
    last_left_at,
    is_current,
    cast(elapsed_seconds as numeric(20, 6)) as elapsed_seconds,
    cast(working_seconds as numeric(20, 6)) as working_seconds,
    is_urgent,
    sla_limit_seconds,
    {{ sla_state('working_seconds', 'sla_limit_seconds', 'near_seconds') }} as sla_state
from judged
