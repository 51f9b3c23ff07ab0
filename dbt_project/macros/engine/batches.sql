{#
  What a build has to do. Triggers note each order that was written (sync.order_changes); some are in int_orders__latest already
  (sync.order_changes_folded, macros/engine/live.sql). A build begins by making a batch of both: one statement takes what is visible, so that what commits later waits for the next. Orders whose rules changed join
  the batch: a fingerprint per project, status group and status tells which. Each incremental model does the batches it has
  not done yet and notes that in the transaction of its rows; a batch goes when all have done it.
#}
{% macro begin_batch() %}
    {%- if execute and flags.WHICH in ['run', 'build'] -%}{{ return(adapter.dispatch('begin_batch')()) }}{%- endif -%}
{% endmacro %}
{% macro postgres__begin_batch() %}
    {%- set intervals = existing_model('marts', 'fct_order_status_intervals') -%}
    {%- set latest = existing_model('intermediate', 'int_orders__latest') -%}
    {%- set traits = existing_model('intermediate', 'int_orders__traits') -%}
    {%- set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('config.materialized', 'equalto', 'incremental') | map(attribute='name') | list -%}
    -- A folding moves orders between the same tables.
    {{ wait_for_folding() }};
    with batch as (
        insert into sync.build_batches default values returning batch_id
    ),

    purged_orders as (
        delete from sync.build_orders
        where batch_id <= (select min(batch_id) from sync.build_models where model in ('{{ models | join("', '") }}'))
    ),

    {%- for notes in ['dates', 'transitions', 'variants'] %}

    purged_{{ notes }} as (
        delete from sync.build_{{ notes }}
        where batch_id <= (select min(batch_id) from sync.build_models where model in ('{{ models | join("', '") }}'))
    ),
    {%- endfor %}

    taken as (
        delete from sync.order_changes returning project_id, order_id
    ),

    taken_folded as (
        delete from sync.order_changes_folded returning project_id, order_id
    ),

    -- What the figures of a project, a status group and a status depend on beside the orders themselves.
    settings as (
        select project_id, 'project' as part, 'project' as kind, jsonb_build_array(timezone, crm, near_threshold) as content
        from config.projects
        union all
        select project_id, 'project', 'cycle', to_jsonb(cycle_rules) from config.cycle_rules
        union all
        select project_id, 'project', 'urgent', to_jsonb(urgent_rules) from config.urgent_rules
        union all
        select project_id, 'group/' || status_group_id, 'limit', to_jsonb(sla_rules) from config.sla_rules
        union all
        select project_id, 'group/' || status_group_id, 'name', to_jsonb(name) from config.status_groups
        union all
        select project_id, 'group/' || status_group_id, 'reported', to_jsonb(name) from core.status_groups
        union all
        select project_id, 'status/' || status_id, 'status', to_jsonb(statuses) from config.statuses
        union all
        select project_id, 'status/' || status_id, 'reported', jsonb_build_array(name, status_group_id, is_closing)
        from core.statuses
        union all
        select project_id, {{ calendar_part() }}, 'calendar', to_jsonb(calendars) from config.calendars
        union all
        select project_id, {{ calendar_part() }}, 'window', to_jsonb(calendar_windows) from config.calendar_windows
        union all
        select project_id, {{ calendar_part() }}, 'exception', to_jsonb(calendar_exceptions) from config.calendar_exceptions
        union all
        select project_id, {{ calendar_part() }}, 'hours', to_jsonb(calendar_exception_windows)
        from config.calendar_exception_windows
    ),

    fingerprints as (
        select project_id, part, md5(string_agg(kind || cast(content as text), ' ' order by kind, content)) as fingerprint
        from settings
        group by project_id, part
    ),

    changed_parts as (
        select
            coalesce(fingerprints.project_id, former.project_id) as project_id,
            coalesce(fingerprints.part, former.part) as part,
            fingerprints.fingerprint
        from fingerprints
        full outer join sync.build_fingerprints as former
            on fingerprints.project_id = former.project_id
            and fingerprints.part = former.part
        where fingerprints.fingerprint is distinct from former.fingerprint
    ),

    forgotten as (
        delete from sync.build_fingerprints as former
        using changed_parts
        where
            changed_parts.fingerprint is null
            and former.project_id = changed_parts.project_id
            and former.part = changed_parts.part
    ),

    remembered as (
        insert into sync.build_fingerprints (project_id, part, fingerprint)
        select project_id, part, fingerprint from changed_parts where fingerprint is not null
        on conflict (project_id, part) do update set fingerprint = excluded.fingerprint
    ),

    whole_projects as (
        select project_id from changed_parts where part = 'project'
        union
        select project_id from taken where order_id is null
    ),

    affected as (
        select project_id, order_id from core.orders where project_id in (select project_id from whole_projects)
        union
        select project_id, order_id from core.order_status_events
        where project_id in (select project_id from whole_projects)
        union
        select project_id, order_id from core.order_items where project_id in (select project_id from whole_projects)
        union
        select project_id, order_id from config.order_overrides where project_id in (select project_id from whole_projects)
        {%- if traits %}
        union
        select project_id, order_id from {{ traits }} where project_id in (select project_id from whole_projects)
        {%- endif %}
        {%- if intervals %}
        union
        select facts.project_id, facts.order_id
        from {{ intervals }} as facts
        left join changed_parts as by_group
            on facts.project_id = by_group.project_id
            and 'group/' || facts.status_group_id = by_group.part
        left join changed_parts as by_status
            on facts.project_id = by_status.project_id
            and 'status/' || facts.status_id = by_status.part
        left join whole_projects on facts.project_id = whole_projects.project_id
        where
            (select count(*) from changed_parts) + (select count(*) from whole_projects) > 0
            and num_nonnulls(by_group.part, by_status.part, whole_projects.project_id) > 0
        {%- endif %}
        {%- if latest %}
        union
        select facts.project_id, facts.order_id
        from {{ latest }} as facts
        left join changed_parts as by_group
            on facts.project_id = by_group.project_id
            and 'group/' || facts.last_status_group_id = by_group.part
        left join changed_parts as by_status
            on facts.project_id = by_status.project_id
            and 'status/' || facts.last_status_id = by_status.part
        left join whole_projects on facts.project_id = whole_projects.project_id
        where
            (select count(*) from changed_parts) + (select count(*) from whole_projects) > 0
            and num_nonnulls(by_group.part, by_status.part, whole_projects.project_id) > 0
        {%- endif %}
    ),

    noted as (
        insert into sync.build_orders (batch_id, project_id, order_id, is_waiting)
        select batch.batch_id, found.project_id, found.order_id, bool_or(found.is_waiting)
        from (
            select project_id, order_id, true as is_waiting from taken where order_id is not null
            union all
            select project_id, order_id, false from taken_folded
            union all
            select project_id, order_id, false from affected
            union all
            -- No order, but a project of which something shows: names in the dictionaries are in aggregates too.
            select project_id, '', false from changed_parts
        ) as found
        cross join batch
        group by batch.batch_id, found.project_id, found.order_id
    )
    {%- if intervals %}

    -- A day to each side: the project's zone may be what changed.
    insert into sync.build_dates (batch_id, project_id, local_date)
    select distinct batch.batch_id, facts.project_id, cast(moments.at at time zone 'UTC' as date) + shift.days
    from affected
    inner join {{ intervals }} as facts using (project_id, order_id)
    cross join lateral (values (facts.entered_at), (facts.left_at)) as moments (at)
    cross join generate_series(-2, 2) as shift (days)
    cross join batch
    where moments.at is not null and isfinite(moments.at)
    {%- else %}

    select batch_id from batch
    {%- endif %}
{% endmacro %}

{# A group's own calendar concerns the group, the default and what holds for all groups the whole project. #}
{% macro calendar_part() -%}
    case when status_group_id in ('', '*') then 'project' else 'group/' || status_group_id end
{%- endmacro %}

{% macro existing_model(schema, name) %}
    {{ return(adapter.get_relation(database=target.database, schema=schema, identifier=name)) }}
{% endmacro %}

{#
  How far a model has come: `batch` is this build's, `done` the last that the model has done (0: none), `reached` the one
  that it will have done: no more than the tables it reads, which a build of a selection leaves behind. `is_recoded` when its
  rows were computed by other code, `reads_rebuilt` when a table it reads was computed as a whole since.
#}
{% macro build_state(code_hash) %}
    {%- set parents = ['-'] -%}
    {%- for id in model.depends_on.nodes if id.startswith('model.') -%}
        {%- do parents.append(graph.nodes[id].name) -%}
    {%- endfor -%}
    {%- call statement('build_state', fetch_result=True) -%}
        select
            batches.batch_id,
            coalesce(mine.batch_id, 0) as done_batch_id,
            least(
                batches.batch_id, (
                    select min(batch_id) from sync.build_models where model in ('{{ tables_read(model) | join("', '") }}')
                )
            ) as reached_batch_id,
            mine.code_hash is distinct from '{{ code_hash }}' as is_recoded,
            coalesce(mine.batch_id, 0) < coalesce((
                select max(rebuilt_batch_id) from sync.build_models where model in ('{{ parents | join("', '") }}')
            ), 0) as reads_rebuilt
        from (select coalesce(max(batch_id), 0) as batch_id from sync.build_batches) as batches
        left join sync.build_models as mine on mine.model = '{{ model.name }}'
    {%- endcall -%}
    {%- set row = load_result('build_state').table.rows[0] -%}
    {{ return({
        'batch': row[0] | int, 'done': row[1] | int, 'reached': row[2] | int, 'is_recoded': row[3], 'reads_rebuilt': row[4],
    }) }}
{% endmacro %}

{# Names of the incremental models that a model reads, itself or by views. #}
{% macro tables_read(node) %}
    {%- set names = [] -%}
    {%- for id in node.depends_on.nodes if id.startswith('model.') -%}
        {%- set read = graph.nodes[id] -%}
        {%- if read.config.materialized == 'incremental' -%}
            {%- do names.append(read.name) -%}
        {%- else -%}
            {%- do names.extend(tables_read(read)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(names) }}
{% endmacro %}

{# In the transaction of the model's rows. #}
{% macro note_built(state, code_hash, is_rebuilt, live_query=none) -%}
    insert into sync.build_models (
        model, batch_id, built_batch_id, from_batch_id, rebuilt_batch_id, code_hash, live_query
    )
    values (
        '{{ model.name }}', {{ state.reached }}, {{ state.batch }}, {{ state.done }}, {{ state.batch if is_rebuilt else 0 }},
        '{{ code_hash }}', {{ '$live$' ~ live_query ~ '$live$' if live_query else 'null' }}
    )
    on conflict (model) do update
    set
        batch_id = excluded.batch_id,
        built_batch_id = excluded.built_batch_id,
        from_batch_id = excluded.from_batch_id,
        rebuilt_batch_id = greatest(build_models.rebuilt_batch_id, excluded.rebuilt_batch_id),
        code_hash = excluded.code_hash,
        live_query = excluded.live_query
{%- endmacro %}
