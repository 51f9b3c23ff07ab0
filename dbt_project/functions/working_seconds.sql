-- One row per call, none for an unknown project. The model's own arithmetic (fct_order_status_intervals): a difference of
-- two running totals, or of two instants where the calendar is always open.
with moments as (
    select
        {{ epoch_us(finite_instant('working_seconds.from_at')) }} as from_us,
        {{ epoch_us(finite_instant('working_seconds.to_at')) }} as to_us
)

select
    {{ seconds_of(
        'case when calendars.is_always_open then moments.to_us - moments.from_us'
        ~ ' else ' ~ worked_us('day_to', us_in_day('moments.to_us'))
        ~ ' - ' ~ worked_us('day_from', us_in_day('moments.from_us'))
        ~ ' end'
    ) }}
from moments
cross join {{ calendar_of('working_seconds.project', 'working_seconds.status_group') }} as calendars
left join {{ ref('int_calendars__days') }} as day_from
    on calendars.calendar_id = day_from.calendar_id
    and {{ day_of_us('moments.from_us') }} = day_from.day_number
left join {{ ref('int_calendars__days') }} as day_to
    on calendars.calendar_id = day_to.calendar_id
    and {{ day_of_us('moments.to_us') }} = day_to.day_number
