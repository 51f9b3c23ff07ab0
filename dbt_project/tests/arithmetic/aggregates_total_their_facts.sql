{{ config(meta={'dagster': {'ref': {'name': 'agg_stage_durations'}}}) }}
-- In each grain, the totals of a project's aggregates are those of the facts they are made of.
with facts as (
    select 'stage' as kind, project_id, count(*) as facts, sum(working_seconds) as working, sum(elapsed_seconds) as elapsed
    from {{ ref('fct_order_stages') }}
    where last_left_at is not null
    group by project_id

    union all

    select 'status', project_id, count(*), sum(working_seconds), sum(elapsed_seconds)
    from {{ ref('fct_order_status_intervals') }}
    where left_at is not null
    group by project_id

    union all

    select 'cycle', project_id, count(*), sum(working_seconds), sum(duration_seconds)
    from {{ ref('order_cycle_metrics') }}
    where ended_at is not null
    group by project_id
),

aggregates as (
    select
        'stage' as kind, project_id, grain,
        sum(orders) as facts, sum(total_working_seconds) as working, sum(total_elapsed_seconds) as elapsed
    from {{ ref('agg_stage_durations') }}
    group by project_id, grain

    union all

    select 'status', project_id, grain, sum(visits), sum(total_working_seconds), sum(total_elapsed_seconds)
    from {{ ref('agg_status_durations') }}
    group by project_id, grain

    union all

    select 'cycle', project_id, grain, sum(orders), sum(total_working_seconds), sum(total_elapsed_seconds)
    from {{ ref('agg_cycle_durations') }}
    group by project_id, grain
)

select *
from facts
cross join {{ grains() }}
full outer join aggregates
    on facts.kind = aggregates.kind
    and facts.project_id = aggregates.project_id
    and grains.grain = aggregates.grain
where
    facts.facts is distinct from aggregates.facts
    or facts.working is distinct from aggregates.working
    or facts.elapsed is distinct from aggregates.elapsed
