{{ config(meta={'dagster': {'ref': {'name': 'agg_stage_durations'}}}) }}
-- In each grain, the totals of a project's aggregates are the same.
{%- set kinds = [
    ('stage', ref('agg_stage_durations'), 'orders'),
    ('status', ref('agg_status_durations'), 'visits'),
    ('cycle', ref('agg_cycle_durations'), 'orders'),
] %}
with totals as (
    {%- for kind, aggregate, count in kinds %}
    select
        '{{ kind }}' as kind,
        project_id,
        grain,
        sum({{ count }}) as facts,
        sum(total_working_seconds) as working,
        sum(total_elapsed_seconds) as elapsed
    from {{ aggregate }}
    group by project_id, grain
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}
)

select
    kind,
    project_id
from totals
group by kind, project_id
having
    count(*) <> 3
    or max(facts) <> min(facts)
    or max(working) <> min(working)
    or count(working) not in (0, 3)
    or max(elapsed) <> min(elapsed)
