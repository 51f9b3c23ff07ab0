{{
    config(
        key=['calendar_id', 'day_number'],
        indexes=[{'columns': ['calendar_id', 'day_number'], 'unique': true}],
    )
}}
-- The running total of working time, per calendar and UTC day: what was worked before the day, and the day's own windows.
-- UTC days are all 24 hours long, so that the day of an instant is one division, and worked(t) one look-up by equality:
-- two hash joins price a million intervals. `worked_us` (macro) reads it.
with calendars as (
    select
        effective.calendar_id,
        spans.first_day,
        spans.last_day
    from {{ ref('int_calendars__effective') }} as effective
    inner join {{ ref('int_calendars__spans') }} as spans on effective.project_id = spans.project_id
    where not effective.is_always_open
),

days as (
    select
        calendars.calendar_id,
        day.n as day_number
    from calendars
    {{ join_series('day', 'calendars.first_day', 'calendars.last_day') }}
),

pieces as (
    select
        windows.calendar_id,
        day.n as day_number,
        greatest(windows.opens_us - day.n * {{ us_per_day() }}, 0) as opens_us,
        least(windows.closes_us - day.n * {{ us_per_day() }}, {{ us_per_day() }}) as closes_us,
        row_number() over (partition by windows.calendar_id, day.n order by windows.opens_us) as piece
    from {{ ref('int_calendars__windows') }} as windows
    {{ join_series('day', day_of_us('windows.opens_us'), day_of_us('windows.closes_us - 1')) }}
),

worked_days as (
    select
        calendar_id,
        day_number,
        sum(closes_us - opens_us) as worked_us,
        max(case when piece = 1 then opens_us end) as opens_1_us,
        max(case when piece = 1 then closes_us end) as closes_1_us,
        max(case when piece = 2 then opens_us end) as opens_2_us,
        max(case when piece = 2 then closes_us end) as closes_2_us,
        {{ collect('opens_us', order_by='piece', condition='piece > 2') }} as more_opens_us,
        {{ collect('closes_us', order_by='piece', condition='piece > 2') }} as more_closes_us
    from pieces
    group by calendar_id, day_number
)

select
    days.calendar_id,
    days.day_number,
    cast(coalesce(sum(worked_days.worked_us) over (
        partition by days.calendar_id order by days.day_number rows between unbounded preceding and 1 preceding
    ), 0) as bigint) as worked_before_us,
    coalesce(worked_days.opens_1_us, 0) as opens_1_us,
    coalesce(worked_days.closes_1_us, 0) as closes_1_us,
    coalesce(worked_days.opens_2_us, 0) as opens_2_us,
    coalesce(worked_days.closes_2_us, 0) as closes_2_us,
    worked_days.more_opens_us,
    worked_days.more_closes_us
from days
left join worked_days
    on days.calendar_id = worked_days.calendar_id
    and days.day_number = worked_days.day_number
