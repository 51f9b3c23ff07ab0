{{ config(key=['calendar_id', 'opens_us'], indexes=[{'columns': ['calendar_id', 'worked_before_us']}]) }}
-- When each calendar is open, as instants: windows of local wall-clock time in the project's zone, merged where they
-- overlap or touch, with the microseconds worked before each. Gives the inverse look-up: when so much has been worked.
with calendars as (
    select
        effective.*,
        spans.first_day,
        spans.last_day
    from {{ ref('int_calendars__effective') }} as effective
    inner join {{ ref('int_calendars__spans') }} as spans on effective.project_id = spans.project_id
    where not effective.is_always_open
),

exceptions as (
    select * from {{ ref('stg_config__calendar_exceptions') }}
),

local_dates as (
    -- Two days more at each end: a night window of the day before, zones up to 14 hours from UTC.
    select
        calendars.calendar_id,
        calendars.project_id,
        calendars.calendar_group_id,
        calendars.time_zone,
        calendars.weekly_group_id,
        {{ date_of_day('day.n') }} as local_date
    from calendars
    {{ join_series('day', 'calendars.first_day - 2', 'calendars.last_day + 2') }}
),

ruled_dates as (
    -- The group's own exception goes before the one for all groups.
    select
        local_dates.*,
        coalesce(own.status_group_id, every_group.status_group_id) as exception_group_id
    from local_dates
    left join exceptions as own
        on local_dates.project_id = own.project_id
        and local_dates.calendar_group_id = own.status_group_id
        and local_dates.local_date = own.exception_date
    left join exceptions as every_group
        on local_dates.project_id = every_group.project_id
        and every_group.status_group_id = '*'
        and local_dates.local_date = every_group.exception_date
),

local_windows as (
    select
        ruled_dates.calendar_id,
        ruled_dates.time_zone,
        ruled_dates.local_date,
        weekly.opens_at,
        weekly.closes_at
    from ruled_dates
    inner join {{ ref('stg_config__calendar_windows') }} as weekly
        on ruled_dates.project_id = weekly.project_id
        and ruled_dates.weekly_group_id = weekly.status_group_id
        and {{ iso_weekday('ruled_dates.local_date') }} = weekly.weekday
    where ruled_dates.exception_group_id is null

    union all

    select
        ruled_dates.calendar_id,
        ruled_dates.time_zone,
        ruled_dates.local_date,
        exceptional.opens_at,
        exceptional.closes_at
    from ruled_dates
    inner join {{ ref('stg_config__calendar_exception_windows') }} as exceptional
        on ruled_dates.project_id = exceptional.project_id
        and ruled_dates.exception_group_id = exceptional.status_group_id
        and ruled_dates.local_date = exceptional.exception_date

    union all

    -- No weekly calendar, only exceptions: any other day is open throughout.
    select
        calendar_id,
        time_zone,
        local_date,
        time '00:00' as opens_at,
        time '24:00' as closes_at
    from ruled_dates
    where exception_group_id is null and weekly_group_id is null
),

instants as (
    -- Closing before opening is closing on the next date.
    select
        calendar_id,
        {{ epoch_us(local_instant('local_date', 'opens_at', 'time_zone')) }} as opens_us,
        {{ epoch_us(local_instant(
            'case when closes_at > opens_at then local_date else local_date + 1 end', 'closes_at', 'time_zone'
        )) }} as closes_us
    from local_windows
),

within_span as (
    -- Work is counted from the start of the first day. A window inside an hour that DST skips is empty.
    select
        instants.calendar_id,
        greatest(instants.opens_us, calendars.first_day * {{ us_per_day() }}) as opens_us,
        least(instants.closes_us, (calendars.last_day + 1) * {{ us_per_day() }}) as closes_us
    from instants
    inner join calendars on instants.calendar_id = calendars.calendar_id
    where
        instants.opens_us < instants.closes_us
        and instants.closes_us > calendars.first_day * {{ us_per_day() }}
        and instants.opens_us < (calendars.last_day + 1) * {{ us_per_day() }}
),

marked as (
    select
        *,
        max(closes_us) over (
            partition by calendar_id order by opens_us, closes_us rows between unbounded preceding and 1 preceding
        ) as closed_before_us
    from within_span
),

islands as (
    select
        *,
        sum(case when opens_us <= closed_before_us then 0 else 1 end) over (
            partition by calendar_id order by opens_us, closes_us rows unbounded preceding
        ) as island
    from marked
),

merged as (
    select
        calendar_id,
        min(opens_us) as opens_us,
        max(closes_us) as closes_us
    from islands
    group by calendar_id, island
)

select
    calendar_id,
    opens_us,
    closes_us,
    cast(coalesce(sum(closes_us - opens_us) over (
        partition by calendar_id order by opens_us rows between unbounded preceding and 1 preceding
    ), 0) as bigint) as worked_before_us,
    {{ instant_of('opens_us') }} as opens_at,
    {{ instant_of('closes_us') }} as closes_at
from merged
