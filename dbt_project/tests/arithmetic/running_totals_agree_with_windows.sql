{{ config(meta={'dagster': {'ref': {'name': 'int_calendars__days'}}}) }}
-- By days and by windows, a calendar has worked the same in all.
with windows as (
    select calendar_id, sum(closes_us - opens_us) as worked_us, max(worked_before_us + closes_us - opens_us) as last_us
    from {{ ref('int_calendars__windows') }}
    group by calendar_id
),

days as (
    select calendar_id, max({{ worked_us('days', us_per_day()) }}) as worked_us
    from {{ ref('int_calendars__days') }} as days
    group by calendar_id
)

select *
from days
left join windows on days.calendar_id = windows.calendar_id
where days.worked_us <> coalesce(windows.worked_us, 0) or windows.worked_us <> windows.last_us
