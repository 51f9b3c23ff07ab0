select
    project_id,
    run_id,
    kind as run_kind,
    stream,
    trigger as run_trigger,
    state as run_state,
    started_at,
    finished_at,
    rows_seen,
    rows_new,
    rows_changed,
    rows_unchanged,
    rows_failed,
    is_summed
from {{ source('sync', 'runs') }}
