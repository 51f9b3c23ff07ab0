{{
    config(
        scope='orders',
        live=true,
        key=['project_id', 'order_id'],
        recheck='num_nulls(sla_near_at, sla_due_at, sla_over_at) > 0',
        indexes=[{'columns': ['project_id', 'order_id']}],
    )
}}
-- When the current stage of an open order turns near, reaches its limit and turns over, so that its state is a comparison
-- with the time of day: the interval in which the sum over its visits gets there, then the calendar's inverse look-up. Over
-- means more than the limit: a limit that is reached as a window closes is passed when the next one opens. No row without a
-- limit, and none if the working time of an earlier visit is not known.
with current_stages as (
    select
        stages.project_id,
        stages.order_id,
        stages.status_group_id,
        {{ us_of('stages.sla_limit_seconds') }} as limit_us,
        cast(ceil(projects.near_threshold * stages.sla_limit_seconds * 1000000) as bigint) as near_us
    from {{ ref('fct_order_stages') }} as stages
    {{ only_changed_orders('stages') }}
    inner join {{ ref('fct_order_status_intervals') }} as intervals
        on stages.project_id = intervals.project_id
        and stages.order_id = intervals.order_id
    inner join {{ ref('stg_config__projects') }} as projects on stages.project_id = projects.project_id
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
        intervals.is_open,
        current_stages.limit_us,
        current_stages.near_us,
        {{ epoch_us('intervals.entered_at') }} as entered_us,
        {{ us_of('intervals.working_seconds') }} as worked_us,
        {{ us_of(
            'coalesce(sum(intervals.working_seconds) over ('
            ~ 'partition by intervals.project_id, intervals.order_id '
            ~ 'order by intervals.interval_number rows between unbounded preceding and 1 preceding), 0)'
        ) }} as worked_before_us
    from current_stages
    inner join {{ ref('fct_order_status_intervals') }} as intervals
        on current_stages.project_id = intervals.project_id
        and current_stages.order_id = intervals.order_id
        and current_stages.status_group_id = intervals.status_group_id
),

-- Of each order one row for each of the three: the visit in which the sum gets there; the open one if none has yet.
crossings as (
    {%- for kind, amount in [('near', 'near_us'), ('due', 'limit_us'), ('over', 'limit_us + 1')] %}
    select
        '{{ kind }}' as kind,
        project_id,
        order_id,
        status_group_id,
        is_open,
        entered_us,
        {{ amount }} - worked_before_us as remaining_us
    from visits
    where worked_before_us < {{ amount }} and (is_open or worked_before_us + worked_us >= {{ amount }})
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}
),

targets as (
    select
        crossings.*,
        coalesce(status_groups.calendar_id, project_default.calendar_id) as calendar_id,
        coalesce(status_groups.is_always_open, project_default.is_always_open) as is_always_open,
        {{ worked_us('days', us_in_day('crossings.entered_us')) }} + crossings.remaining_us as target_us,
        -- Outside the calendar: unknown if it begins later, and if it ends before, a stage that has not begun to count.
        days.day_number is not null
        or {{ day_of_us('crossings.entered_us') }} > spans.last_day as is_known
    from crossings
    inner join {{ ref('int_status_groups__resolved') }} as project_default
        on crossings.project_id = project_default.project_id
        and project_default.status_group_id = ''
    left join {{ ref('int_status_groups__resolved') }} as status_groups
        on crossings.project_id = status_groups.project_id
        and crossings.status_group_id = status_groups.status_group_id
    left join {{ ref('int_calendars__spans') }} as spans on crossings.project_id = spans.project_id
    left join {{ ref('int_calendars__days') }} as days
        on coalesce(status_groups.calendar_id, project_default.calendar_id) = days.calendar_id
        and {{ day_of_us('crossings.entered_us') }} = days.day_number
),

reached as (
    select
        targets.project_id,
        targets.order_id,
        targets.kind,
        targets.is_open,
        targets.is_always_open or targets.is_known as is_known,
        case
            when targets.is_always_open then targets.entered_us + targets.remaining_us
            when targets.target_us <= win.worked_before_us + win.closes_us - win.opens_us
                then win.opens_us + targets.target_us - win.worked_before_us
        end as reached_us
    from targets
    {{ join_first(
        'win',
        ref('int_calendars__windows'),
        condition='candidate.calendar_id = targets.calendar_id and candidate.worked_before_us < targets.target_us',
        order_by='candidate.worked_before_us desc'
    ) }}
),

-- The first microsecond beyond the limit, less one: over is what comes after.
instants as (
    select
        reached.*,
        {{ instant_of("case when kind = 'over' then reached_us - 1 else reached_us end") }} as reached_at
    from reached
)

select
    project_id,
    order_id,
    max(case when kind = 'near' then reached_at end) as sla_near_at,
    max(case when kind = 'due' then reached_at end) as sla_due_at,
    max(case when kind = 'over' then reached_at end) as sla_over_at,
    -- What the state is compared with. What an earlier visit has reached is so at any time, also if events are dated ahead.
    max(case when kind = 'near' then {{ state_instant('reached_at', 'is_open', 'is_known') }} end) as near_from,
    max(case when kind = 'over' then {{ state_instant('reached_at', 'is_open', 'is_known') }} end) as over_after
from instants
group by project_id, order_id
