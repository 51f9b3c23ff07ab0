{{ config(meta={'dagster': {'ref': {'name': 'agg_daily_flow'}}}) }}
-- Of each stage, the backlog of a day is that of the row before, plus what came in, less what went out; and a day without a
-- row had no backlog.
with days as (
    select
        *,
        coalesce(lag(backlog) over stage_days, 0) as backlog_before,
        lag(local_date) over stage_days as date_before
    from {{ ref('agg_daily_flow') }}
    window stage_days as (partition by project_id, status_group_id, is_urgent order by local_date)
)

select *
from days
where
    backlog <> backlog_before + entered - exited
    or (backlog_before > 0 and {{ day_of_date('local_date') }} - {{ day_of_date('date_before') }} <> 1)
