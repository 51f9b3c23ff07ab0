{{ config(materialized='view') }}
-- How each project's synchronisation fares at the instant of reading. A replay and a nightly comparison are no synchronisation;
-- a run that was abandoned (its process died) has failed. Days that are over are sums; a day with a run that is not summed
-- yet, as today, is read run by run, and so is the day on which the 30 days begin, of which only the end counts.
{%- set run_us -%}
    {{ epoch_us('runs.finished_at') }} - {{ epoch_us('runs.started_at') }}
{%- endset %}
with open_days as (
    select distinct
        project_id,
        {{ utc_date('started_at') }} as run_day
    from {{ ref('stg_sync__runs') }}
    where not is_summed
),

runs_of_open_days as (
    select
        open_days.project_id,
        open_days.run_day,
        runs.started_at,
        runs.finished_at,
        runs.rows_new + runs.rows_changed as rows_synced,
        runs.run_state = 'success' as is_success,
        runs.run_state in ('failed', 'abandoned') as is_failure,
        {{ run_us }} as run_us
    from open_days
    {{ join_found(
        'runs',
        ref('stg_sync__runs'),
        condition='candidate.project_id = open_days.project_id'
            ~ ' and candidate.started_at >= ' ~ start_of_utc_date('open_days.run_day')
            ~ ' and candidate.started_at < ' ~ end_of_utc_date('open_days.run_day')
    ) }}
    where runs.run_kind not in ('replay', 'reconcile')
),

successes_of_open_days as (
    select
        project_id,
        run_day,
        max(started_at) as started_at
    from runs_of_open_days
    where is_success
    group by project_id, run_day
),

days as (
    select summed.*
    from {{ ref('stg_sync__run_days') }} as summed
    left join open_days
        on summed.project_id = open_days.project_id
        and summed.run_day = open_days.run_day
    where open_days.project_id is null

    union all

    select
        runs.project_id,
        runs.run_day,
        sum(runs.rows_synced) as rows_synced,
        count(*) filter (where runs.is_success) as successes,
        count(*) filter (where runs.is_failure) as failures,
        count(runs.run_us) filter (where runs.is_success) as timed_runs,
        coalesce(sum(runs.run_us) filter (where runs.is_success), 0) as timed_us,
        max(runs.finished_at) filter (where runs.is_success) as last_success_at,
        max(successes.started_at) as last_success_started_at,
        count(*) filter (
            where runs.is_failure and (successes.started_at is null or runs.started_at > successes.started_at)
        ) as failures_since_success
    from runs_of_open_days as runs
    left join successes_of_open_days as successes
        on runs.project_id = successes.project_id
        and runs.run_day = successes.run_day
    group by runs.project_id, runs.run_day
),

last_successes as (
    select
        project_id,
        {{ utc_date('max(last_success_started_at)') }} as run_day
    from days
    group by project_id
),

totals as (
    select
        days.project_id,
        sum(days.rows_synced) as total_synced,
        max(days.last_success_at) as last_success_at,
        sum(
            case
                when last_successes.run_day is null or days.run_day > last_successes.run_day then days.failures
                when days.run_day = last_successes.run_day then days.failures_since_success
                else 0
            end
        ) as consecutive_failures
    from days
    inner join last_successes on days.project_id = last_successes.project_id
    group by days.project_id
),

recent as (
    select
        project_id,
        successes,
        failures,
        timed_runs,
        timed_us
    from days
    where run_day > {{ utc_date(thirty_days_ago()) }}

    union all

    select
        runs.project_id,
        count(*) filter (where runs.run_state = 'success') as successes,
        count(*) filter (where runs.run_state in ('failed', 'abandoned')) as failures,
        count({{ run_us }}) filter (where runs.run_state = 'success') as timed_runs,
        coalesce(sum({{ run_us }}) filter (where runs.run_state = 'success'), 0) as timed_us
    from {{ ref('stg_config__projects') }} as projects
    inner join {{ ref('stg_sync__runs') }} as runs on projects.project_id = runs.project_id
    where
        runs.run_kind not in ('replay', 'reconcile')
        and runs.started_at >= {{ thirty_days_ago() }}
        and runs.started_at < {{ end_of_utc_date(utc_date(thirty_days_ago())) }}
    group by runs.project_id
),

recent_totals as (
    select
        project_id,
        sum(successes) as successes_30d,
        sum(failures) as failures_30d,
        sum(timed_us) / nullif(sum(timed_runs), 0) as avg_sync_us_30d
    from recent
    group by project_id
)

select
    projects.project_id,
    cast(coalesce(totals.total_synced, 0) as bigint) as total_synced,
    totals.last_success_at,
    {{ share(
        'recent_totals.successes_30d', 'recent_totals.successes_30d + recent_totals.failures_30d'
    ) }} as success_rate_30d,
    cast(coalesce(recent_totals.failures_30d, 0) as bigint) as failed_syncs_30d,
    {{ seconds_of('recent_totals.avg_sync_us_30d') }} as avg_sync_seconds_30d,
    cast(coalesce(totals.consecutive_failures, 0) as bigint) as consecutive_failures
from {{ ref('stg_config__projects') }} as projects
left join totals on projects.project_id = totals.project_id
left join recent_totals on projects.project_id = recent_totals.project_id
