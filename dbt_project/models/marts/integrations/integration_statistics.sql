{{ config(materialized='view') }}
-- How each project's synchronisation fares at the instant of reading. A replay and a nightly comparison are no synchronisation;
-- a run that was abandoned (its process died) has failed.
with runs as (
    select
        *,
        run_state = 'success' as is_success,
        run_state in ('failed', 'abandoned') as is_failure,
        started_at >= {{ current_instant() }} - interval '30 days' as is_recent
    from {{ ref('stg_sync__runs') }}
    where run_kind not in ('replay', 'reconcile')
),

last_successes as (
    select
        project_id,
        max(started_at) as started_at
    from runs
    where is_success
    group by project_id
),

totals as (
    select
        runs.project_id,
        sum(runs.rows_new + runs.rows_changed) as total_synced,
        max(runs.finished_at) filter (where runs.is_success) as last_success_at,
        count(*) filter (where runs.is_success and runs.is_recent) as successes_30d,
        count(*) filter (where runs.is_failure and runs.is_recent) as failures_30d,
        avg(
            {{ epoch_us('runs.finished_at') }} - {{ epoch_us('runs.started_at') }}
        ) filter (where runs.is_success and runs.is_recent) as avg_sync_us_30d,
        count(*) filter (
            where runs.is_failure
            and (last_successes.started_at is null or runs.started_at > last_successes.started_at)
        ) as consecutive_failures
    from runs
    left join last_successes on runs.project_id = last_successes.project_id
    group by runs.project_id
)

select
    projects.project_id,
    cast(coalesce(totals.total_synced, 0) as bigint) as total_synced,
    totals.last_success_at,
    {{ share('totals.successes_30d', 'totals.successes_30d + totals.failures_30d') }} as success_rate_30d,
    coalesce(totals.failures_30d, 0) as failed_syncs_30d,
    {{ seconds_of('totals.avg_sync_us_30d') }} as avg_sync_seconds_30d,
    coalesce(totals.consecutive_failures, 0) as consecutive_failures
from {{ ref('stg_config__projects') }} as projects
left join totals on projects.project_id = totals.project_id
