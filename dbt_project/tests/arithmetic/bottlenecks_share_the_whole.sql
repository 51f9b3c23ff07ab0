{{ config(meta={'dagster': {'ref': {'name': 'rpt_bottlenecks'}}}) }}
-- Shares of a project's stages add up to 1 (each is rounded to four digits), and one of the stages is the first.
select grain, period_start, project_id, is_urgent
from {{ ref('rpt_bottlenecks') }}
group by grain, period_start, project_id, is_urgent
having
    abs(sum(working_share) - 1) > 0.0001 * count(*)
    or abs(sum(elapsed_share) - 1) > 0.0001 * count(*)
    or min(bottleneck_rank) <> 1
