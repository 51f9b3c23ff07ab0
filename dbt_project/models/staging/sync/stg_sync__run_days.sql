select
    project_id,
    day as run_day,
    synced as rows_synced,
    succeeded as successes,
    failed as failures,
    timed as timed_runs,
    timed_us,
    last_success_at,
    last_success_started_at,
    failed_since_success as failures_since_success
from {{ source('sync', 'run_days') }}
