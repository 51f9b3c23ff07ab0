{{ config(scope='orders', live=true, key=['project_id', 'order_id'], indexes=[{'columns': ['project_id', 'order_id']}]) }}
-- When the current stage of an open order reaches its limit of working time: the interval in which the sum over its visits
-- gets there, then the calendar's inverse look-up. In the past once it is reached; null where the calendar never gets there
-- (always closed, or beyond its last day). No row without a limit.
with current_stages as (
    select
        stages.project_id,
        stages.order_id,
        stages.status_group_id,
        stages.sla_limit_seconds
    from {{ ref('fct_order_stages') }} as stages
    {{ only_changed_orders('stages') }}
    inner join {{ ref('fct_order_status_intervals') }} as intervals
        on stages.project_id = intervals.project_id
        and stages.order_id = intervals.order_id
    where
        stages.is_current
        and stages.sla_limit_seconds is not null
        and stages.working_seconds is not null
        and intervals.is_open
),

visits as (
    select
        intervals.project_id,
        intervals.order_id,
        intervals.status_group_id,
        intervals.entered_at,
        intervals.is_open,
        intervals.working_seconds,
        current_stages.sla_limit_seconds,
        coalesce(sum(intervals.working_seconds) over (
            partition by intervals.project_id, intervals.order_id
            order by intervals.interval_number rows between unbounded preceding and 1 preceding
        ), 0) as worked_before_seconds
    from current_stages
    inner join {{ ref('fct_order_status_intervals') }} as intervals
        on current_stages.project_id = intervals.project_id
        and current_stages.order_id = intervals.order_id
        and current_stages.status_group_id = intervals.status_group_id
),

crossings as (
    -- At most one per order: once the limit is reached, every later visit begins at or beyond it.
    select
        visits.project_id,
        visits.order_id,
        coalesce(status_groups.calendar_id, project_default.calendar_id) as calendar_id,
        coalesce(status_groups.is_always_open, project_default.is_always_open) as is_always_open,
        {{ epoch_us('visits.entered_at') }} as entered_us,
        {{ us_of('visits.sla_limit_seconds - visits.worked_before_seconds') }} as remaining_us
    from visits
    inner join {{ ref('int_status_groups__resolved') }} as project_default
        on visits.project_id = project_default.project_id
        and project_default.status_group_id = ''
    left join {{ ref('int_status_groups__resolved') }} as status_groups
        on visits.project_id = status_groups.project_id
        and visits.status_group_id = status_groups.status_group_id
    where
        visits.worked_before_seconds < visits.sla_limit_seconds
        and (visits.is_open or visits.worked_before_seconds + visits.working_seconds >= visits.sla_limit_seconds)
),

targets as (
    select
        crossings.*,
        {{ worked_us('days', us_in_day('crossings.entered_us')) }} + crossings.remaining_us as target_us
    from crossings
    left join {{ ref('int_calendars__days') }} as days
        on crossings.calendar_id = days.calendar_id
        and {{ day_of_us('crossings.entered_us') }} = days.day_number
)

select
    targets.project_id,
    targets.order_id,
    {{ instant_of(
        'case when targets.is_always_open then targets.entered_us + targets.remaining_us'
        ~ ' when targets.target_us <= win.worked_before_us + win.closes_us - win.opens_us'
        ~ ' then win.opens_us + targets.target_us - win.worked_before_us end'
    ) }} as sla_due_at
from targets
{{ join_first(
    'win',
    ref('int_calendars__windows'),
    condition='candidate.calendar_id = targets.calendar_id and candidate.worked_before_us < targets.target_us',
    order_by='candidate.worked_before_us desc'
) }}
