{{ config(meta={'dagster': {'ref': {'name': 'agg_stage_durations'}}}) }}
-- Of each project and day, the totals of an aggregate are those of the facts it is made of.
{%- set kinds = [
    ('stage', ref('fct_order_stages'), 'last_left_at', 'elapsed_seconds', ref('agg_stage_durations'), 'orders'),
    ('status', ref('fct_order_status_intervals'), 'left_at', 'elapsed_seconds', ref('agg_status_durations'), 'visits'),
    ('cycle', ref('order_cycle_metrics'), 'ended_at', 'duration_seconds', ref('agg_cycle_durations'), 'orders'),
] %}
with facts as (
    {%- for kind, facts, instant, elapsed, aggregate, count in kinds %}
    {%- set local_date = period_start("'day'", 'facts.' ~ instant, 'projects.time_zone') %}
    select
        '{{ kind }}' as kind,
        facts.project_id,
        {{ local_date }} as local_date,
        count(*) as facts,
        sum(facts.working_seconds) as working,
        sum(facts.{{ elapsed }}) as elapsed
    from {{ facts }} as facts
    inner join {{ ref('stg_config__projects') }} as projects on facts.project_id = projects.project_id
    {{ only_tested_dates('facts', local_date, [aggregate.identifier]) }}
    where facts.{{ instant }} is not null
    group by facts.project_id, {{ local_date }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}
),

aggregates as (
    {%- for kind, facts, instant, elapsed, aggregate, count in kinds %}
    select
        '{{ kind }}' as kind,
        cells.project_id,
        cells.period_start as local_date,
        sum(cells.{{ count }}) as facts,
        sum(cells.total_working_seconds) as working,
        sum(cells.total_elapsed_seconds) as elapsed
    from {{ aggregate }} as cells
    {{ only_tested_dates('cells', 'cells.period_start', [aggregate.identifier]) }}
    where cells.grain = 'day'
    group by cells.project_id, cells.period_start
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}
)

select *
from facts
full outer join aggregates
    on facts.kind = aggregates.kind
    and facts.project_id = aggregates.project_id
    and facts.local_date = aggregates.local_date
where
    facts.facts is distinct from aggregates.facts
    or facts.working is distinct from aggregates.working
    or facts.elapsed is distinct from aggregates.elapsed
