{{ config(key=['project_id']) }}
-- The UTC days that a project's calendars cover: from its first event (or some years ago, for a first pull that lands while
-- the build runs) to some years after the last event or today. Made anew at each build, so that an order
-- open for ten years is inside. Dates that no real order has (before 1970, a century ahead) stretch nothing: the working
-- time of such an interval is unknown, which is null, and not a guess.
with events as (
    select
        project_id,
        {{ utc_date('min(status_changed_at)') }} as first_date,
        {{ utc_date('max(status_changed_at)') }} as last_date
    from {{ ref('stg_core__order_status_events') }}
    group by project_id
),

today as (
    select {{ utc_date(current_instant()) }} as today_date
),

reach as (
    select
        projects.project_id,
        {{ day_of_date('today.today_date') }} as today,
        {{ day_of_date('coalesce(events.first_date, today.today_date)') }} as first_event_day,
        {{ day_of_date('coalesce(events.last_date, today.today_date)') }} as last_event_day
    from {{ ref('stg_config__projects') }} as projects
    cross join today
    left join events on projects.project_id = events.project_id
)

select
    project_id,
    cast(greatest(1, least(first_event_day, today - {{ var('calendar_years_behind') }} * 366) - 1) as integer) as first_day,
    cast(least(
        greatest(last_event_day, today) + {{ var('calendar_years_ahead') }} * 366,
        today + {{ var('calendar_max_years_ahead') }} * 366
    ) as integer) as last_day
from reach
