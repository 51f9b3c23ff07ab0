{{
    config(
        scope='orders',
        live=true,
        key=['project_id', 'order_id', 'interval_number'],
        notes_dates=true,
        indexes=[{'columns': ['project_id', 'order_id']}],
    )
}}
-- From each status event to the order's next. Working time is a difference of the calendar's running total.
-- The dictionaries come after the sequence, so that core's index of each order's history gives it without a sort.
with sequenced as (
    select
        events.event_id,
        events.project_id,
        events.order_id,
        events.status_id,
        events.status_group_id,
        events.status_changed_at as entered_at,
        events.ingested_at,
        {{ epoch_us('events.status_changed_at') }} as entered_us,
        {{ epoch_us('lead(events.status_changed_at) over order_history') }} as left_us,
        row_number() over order_history as interval_number,
        lead(events.status_changed_at) over order_history as left_at,
        lead(events.status_id) over order_history as next_status_id,
        lag(events.status_id) over order_history as previous_status_id,
        lag(events.status_group_id) over order_history as previous_group_id
    from {{ ref('stg_core__order_status_events') }} as events
    {{ only_changed_orders('events') }}
    window order_history as (
        partition by events.project_id, events.order_id order by events.status_changed_at, events.event_id
    )
),

resolved as (
    -- The event's own group, else the dictionary's.
    select
        sequenced.event_id,
        sequenced.project_id,
        sequenced.order_id,
        sequenced.interval_number,
        sequenced.status_id,
        statuses.status_name,
        coalesce(sequenced.status_group_id, statuses.status_group_id) as status_group_id,
        sequenced.next_status_id,
        sequenced.previous_status_id,
        coalesce(sequenced.previous_group_id, previous_statuses.status_group_id) as previous_group_id,
        coalesce(statuses.is_closing, false) as is_closing,
        sequenced.entered_at,
        sequenced.left_at,
        sequenced.entered_us,
        sequenced.left_us,
        sequenced.ingested_at
    from sequenced
    left join {{ ref('int_statuses__overlaid') }} as statuses
        on sequenced.project_id = statuses.project_id
        and sequenced.status_id = statuses.status_id
    left join {{ ref('int_statuses__overlaid') }} as previous_statuses
        on sequenced.project_id = previous_statuses.project_id
        -- Only where the event named no group: a key of null is not looked up.
        and previous_statuses.status_id = case
            when sequenced.previous_group_id is null then sequenced.previous_status_id
        end
),

placed as (
    select
        resolved.*,
        status_groups.status_group_name,
        coalesce(status_groups.calendar_id, project_default.calendar_id) as calendar_id,
        coalesce(status_groups.is_always_open, project_default.is_always_open) as is_always_open
    from resolved
    -- Also leaves out what remains in core of a project that has been removed from the settings.
    inner join {{ ref('int_status_groups__resolved') }} as project_default
        on resolved.project_id = project_default.project_id
        and project_default.status_group_id = ''
    left join {{ ref('int_status_groups__resolved') }} as status_groups
        on resolved.project_id = status_groups.project_id
        and resolved.status_group_id = status_groups.status_group_id
)

select
    placed.project_id,
    placed.order_id,
    placed.interval_number,
    placed.event_id,
    placed.status_id,
    placed.status_name,
    placed.status_group_id,
    placed.status_group_name,
    placed.entered_at,
    placed.left_at,
    placed.left_at is null and not placed.is_closing as is_open,
    placed.is_closing,
    placed.interval_number = 1
    or placed.status_group_id is distinct from placed.previous_group_id as is_stage_entry,
    {{ seconds_of('placed.left_us - placed.entered_us') }} as elapsed_seconds,
    {{ seconds_of(
        'case when placed.is_closing then 0'
        ~ ' when placed.is_always_open then placed.left_us - placed.entered_us'
        ~ ' else ' ~ worked_us('day_left', us_in_day('placed.left_us'))
        ~ ' - ' ~ worked_us('day_entered', us_in_day('placed.entered_us'))
        ~ ' end'
    ) }} as working_seconds,
    coalesce(traits.is_urgent, false) as is_urgent,
    placed.previous_status_id,
    placed.previous_group_id as previous_status_group_id,
    placed.next_status_id,
    placed.ingested_at
from placed
left join {{ ref('int_calendars__days') }} as day_entered
    on placed.calendar_id = day_entered.calendar_id
    and {{ day_of_us('placed.entered_us') }} = day_entered.day_number
left join {{ ref('int_calendars__days') }} as day_left
    on placed.calendar_id = day_left.calendar_id
    and {{ day_of_us('placed.left_us') }} = day_left.day_number
left join {{ ref('int_orders__traits') }} as traits
    on placed.project_id = traits.project_id
    and placed.order_id = traits.order_id
