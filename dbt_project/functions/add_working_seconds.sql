-- The inverse look-up, as in int_orders__due: the window in which the running total reaches that of the start plus the
-- seconds. A span that no calendar is long enough for (over 3000 years, NaN) is outside, before any arithmetic overflows.
with moments as (
    select
        {{ epoch_us(finite_instant('add_working_seconds.from_at')) }} as from_us,
        {{ us_of(
            'case when add_working_seconds.seconds between 0 and 100000000000 then add_working_seconds.seconds end'
        ) }} as added_us
),

targets as (
    select
        moments.*,
        calendars.*,
        {{ worked_us('days', us_in_day('moments.from_us')) }} + moments.added_us as target_us
    from moments
    cross join {{ calendar_of('add_working_seconds.project', 'add_working_seconds.status_group') }} as calendars
    left join {{ ref('int_calendars__days') }} as days
        on calendars.calendar_id = days.calendar_id
        and {{ day_of_us('moments.from_us') }} = days.day_number
)

select
    {{ instant_of(
        'case when targets.is_always_open then targets.from_us + targets.added_us'
        ~ ' when targets.target_us is not null and targets.added_us = 0 then targets.from_us'
        ~ ' when targets.target_us <= win.worked_before_us + win.closes_us - win.opens_us'
        ~ ' then win.opens_us + targets.target_us - win.worked_before_us end'
    ) }}
from targets
{{ join_first(
    'win',
    ref('int_calendars__windows'),
    condition='candidate.calendar_id = targets.calendar_id and candidate.worked_before_us < targets.target_us',
    order_by='candidate.worked_before_us desc'
) }}
