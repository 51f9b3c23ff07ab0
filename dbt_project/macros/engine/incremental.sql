{#
  Incremental models. config `scope` says what an incremental build computes anew, `key` what tells a model's rows apart:
    orders    rows of the orders in the batch        (only_changed_orders; the rows have project_id, order_id)
    periods   of the periods that changed facts touch (join_periods; project_id, grain, period_start)
    keys      of the keys that changed facts touch (only_changed_keys; config `notes` names the table of sync that has them)
    projects  of the projects with a changed order   (only_changed_projects; project_id)
    all       everything, each time: small tables
  Of views, the scope only says which rows tests read (macros/engine/tested_rows.sql).
  Rows that come out as they were stay untouched; what differs is deleted and inserted, so that readers, views and indexes
  live on. A model whose code changed, or that reads one whose code changed, is computed as a whole. config `in_place`
  keeps the table even then, for those that views read; any other is replaced, which is faster. config `recheck` is a
  condition on the model's own rows of scope `orders` that are computed anew each time: they depend on the calendar's reach.
  Models with config `live` keep their query over few orders, for those between two builds: macros/engine/live.sql.
#}
{% materialization incremental, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set grant_config = config.get('grants') -%}
    {%- set scope = config.require('scope') -%}
    {%- set code_hash = hash_of_code(sql) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- set state = build_state(code_hash) -%}
    {%- if existing is not none and not existing.is_table -%}
        {%- do adapter.drop_relation(existing) -%}
        {%- set existing = none -%}
    {%- endif -%}
    {%- set is_whole = existing is none or should_full_refresh() or state.is_recoded or state.reads_rebuilt -%}
    {%- if existing is none -%}
        {%- do create_anew(target_relation, sql) -%}
    {%- elif is_whole and (state.is_recoded or not config.get('in_place', scope != 'orders')) -%}
        {%- do replace_by_new(target_relation, sql) -%}
    {%- else -%}
        {%- do merge_differences(target_relation, sql, 'all' if is_whole else scope, state) -%}
    {%- endif -%}
    {%- set live_query = query_of_few_orders(sql) if config.get('live') -%}
    {%- call statement('note_built') -%}{{ note_built(state, code_hash, is_whole, live_query) }}{%- endcall -%}
    {% do apply_grants(target_relation, grant_config, should_revoke=should_revoke(existing, full_refresh_mode=True)) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# What the rows depend on: the compiled query, whatever the database is called, and the types of the contract. #}
{% macro hash_of_code(sql) %}
    {%- set parts = [sql | replace('"' ~ target.database ~ '".', ''), config.get('indexes') | string] -%}
    {%- for column in model.columns.values() -%}{%- do parts.append(column.name ~ ' ' ~ column.data_type) -%}{%- endfor -%}
    {{ return(local_md5(parts | join('\n'))) }}
{% endmacro %}

{% macro create_anew(relation, sql) %}
    {%- call statement('main') -%}{{ get_create_table_as_sql(False, relation, sql) }}{%- endcall -%}
    {%- do create_indexes(relation) -%}
    {# The next model is planned before autovacuum has seen the new table. #}
    {%- call statement('analyze') -%}analyze {{ relation }}{%- endcall -%}
{% endmacro %}

{% macro replace_by_new(relation, sql) %}
    {%- set fresh = make_intermediate_relation(relation) -%}
    {%- set former = make_backup_relation(relation, 'table') -%}
    {%- call statement('clear') -%}drop table if exists {{ fresh }}, {{ former }} cascade{%- endcall -%}
    {%- do create_anew(fresh, sql) -%}
    {%- do adapter.rename_relation(relation, former) -%}
    {%- do adapter.rename_relation(fresh, relation) -%}
    {# dbt's own, so that it knows of the views that went with the table. #}
    {%- do adapter.drop_relation(former) -%}
{% endmacro %}

{# Compute the scope's rows, and write those that differ. #}
{% macro merge_differences(relation, sql, scope, state) %}
    {%- set columns = adapter.get_columns_in_relation(relation) | map(attribute='quoted') | list -%}
    {%- set key = config.require('key') -%}
    {%- set fresh = model.name ~ '__fresh' -%}
    {%- set scope_columns = {
        'orders': ['project_id', 'order_id'], 'periods': ['project_id', 'grain', 'period_start'],
        'keys': key, 'projects': ['project_id'], 'all': [],
    }[scope] -%}
    {%- set index = fact_index(sql, scope) -%}
    {%- if index -%}{%- call statement('fact_index') -%}{{ index }}{%- endcall -%}{%- endif -%}
    {%- call statement('scope') -%}{{ scope_table(scope, state) }}{%- endcall -%}
    {%- call statement('main') -%}
        {{ get_create_table_as_sql(True, fresh_relation(fresh), sql_in_scope(sql, scope)) }}
    {%- endcall -%}
    {%- call statement('merge') -%}
        analyze {{ fresh }};
        {%- if scope == 'orders' %}{{ note_before(state) }}{% endif %}

        delete from {{ relation }} as target
        {%- if scope_columns %} using build_scope as scope{% endif %}
        where
            {%- for column in scope_columns %}
            target.{{ column }} = scope.{{ column }} and
            {%- endfor %}
            not exists (
                select 1 from {{ fresh }} as fresh
                where
                    {%- for column in key %}
                    fresh.{{ column }} = target.{{ column }} and
                    {%- endfor %}
                    (fresh.{{ columns | join(', fresh.') }}) is not distinct from (target.{{ columns | join(', target.') }})
            );

        insert into {{ relation }} ({{ columns | join(', ') }})
        select {{ columns | join(', ') }} from {{ fresh }} as fresh
        where not exists (
            select 1 from {{ relation }} as target
            where
                {%- for column in key %}
                {{ 'and ' if not loop.first }}target.{{ column }} = fresh.{{ column }}
                {%- endfor %}
        )
        {%- if scope == 'orders' %};{{ note_after(state) }}{% endif %}
    {%- endcall -%}
{% endmacro %}

{% macro fresh_relation(name) %}
    {{ return(api.Relation.create(identifier=name, type='table')) }}
{% endmacro %}

{% macro intervals_relation() %}
    {{ return(api.Relation.create(database=target.database, schema='marts', identifier='fct_order_status_intervals')) }}
{% endmacro %}

{# What an incremental build of this model computes anew, as a temporary table build_scope. #}
{% macro scope_table(scope, state) %}
    {%- if scope == 'all' -%}
    select 1
    {%- else -%}
    create temporary table build_scope on commit drop as
    {%- if scope == 'orders' %}
    select project_id, order_id from sync.build_orders
    where batch_id > {{ state.done }} and batch_id <= {{ state.reached }}
    {%- if config.get('recheck') %}
    union select project_id, order_id from {{ this }} where {{ config.get('recheck') }}
    {%- else %}
    group by project_id, order_id
    {%- endif %};
    {%- elif scope == 'projects' %}
    select distinct project_id from sync.build_orders where batch_id > {{ state.done }};
    {%- elif scope == 'keys' %}
    select {{ config.require('key') | join(', ') }} from sync.{{ config.require('notes') }} where batch_id > {{ state.done }}
    union
    -- Where settings changed: names in the dictionaries are in the rows too.
    select {{ config.require('key') | join(', ') }} from {{ this }}
    where project_id in (select project_id from sync.build_orders where batch_id > {{ state.done }} and order_id = '');
    {%- elif scope == 'periods' %}
    select dates.project_id, grains.grain, cast(date_trunc(grains.grain, dates.local_date) as date) as period_start
    from sync.build_dates as dates
    cross join {{ grains() }}
    where dates.batch_id > {{ state.done }}
    group by 1, 2, 3;

    create temporary table build_scope_dates on commit drop as
    select periods.project_id, periods.grain, periods.period_start, cast(days.at as date) as local_date
    from build_scope as periods
    cross join lateral generate_series(
        cast(periods.period_start as timestamp),
        cast(periods.period_start as timestamp) + cast('1 ' || periods.grain as interval) - interval '1 day',
        interval '1 day'
    ) as days (at);
    analyze build_scope_dates;

    -- The same dates as spans of time, for the index; hours wider at both ends, clocks may change at midnight.
    create temporary table build_scope_spans on commit drop as
    select
        spans.project_id,
        (min(spans.local_date) + time '00:00') at time zone projects.timezone - interval '3 hours' as from_at,
        (max(spans.local_date) + 1 + time '00:00') at time zone projects.timezone + interval '3 hours' as to_at
    from (
        select
            project_id,
            local_date,
            local_date - cast(row_number() over (partition by project_id order by local_date) as integer) as island
        from (select distinct project_id, local_date from build_scope_dates) as dates
    ) as spans
    inner join config.projects as projects on spans.project_id = projects.project_id
    group by spans.project_id, projects.timezone, spans.island;
    analyze build_scope_spans;
    {%- endif %}
    analyze build_scope
    {%- endif -%}
{% endmacro %}

{# Relation, alias, instant and time zone of the mark that join_periods leaves. #}
{% macro period_mark() %}{{ return('(?s)/\\* periods: (\\S+) (\\w+) (\\w+) (\\S+) \\*/') }}{% endmacro %}

{# The facts, and the condition on build_scope, of the mark that only_changed_keys leaves. #}
{% macro keys_mark() %}{{ return('/\\* only changed keys: (\\S+) (.*?) \\*/') }}{% endmacro %}

{# By which a model finds the facts of a few periods or keys (config `finds_facts_by`; empty: they have their index). Made when
   it is first of use: a full build has none. Two models may want the same index at once. #}
{% macro fact_index(sql, scope) -%}
    {%- if scope == 'periods' -%}
        {%- set mark = modules.re.search(period_mark(), sql) -%}
        {{ index_at_first_use(mark.group(1), ['project_id', mark.group(3)]) }}
    {%- elif scope == 'keys' and config.get('finds_facts_by') -%}
        {{ index_at_first_use(modules.re.search(keys_mark(), sql).group(1), config.get('finds_facts_by')) }}
    {%- endif -%}
{%- endmacro %}

{% macro index_at_first_use(relation, columns) -%}
    {%- set parts = relation.replace('"', '').split('.') -%}
    {%- set index = parts[2] ~ '_by_' ~ columns[1:] | join('_') -%}
    do $do$
    begin
        if to_regclass('{{ parts[1] }}.{{ index }}') is null then
            perform pg_advisory_xact_lock(hashtextextended('{{ index }}', 0));
            create index if not exists {{ index }} on {{ relation }} ({{ columns | join(', ') }});
        end if;
    end
    $do$
{%- endmacro %}

{# The model's query with its marks (macros/incremental.sql) replaced. #}
{% macro sql_in_scope(sql, scope, changed_orders='build_scope') %}
    {%- if scope == 'orders' -%}
        {%- set sql = modules.re.sub(
            '/\\* only changed orders: (\\w+) \\*/',
            'inner join ' ~ changed_orders ~ ' as changed_orders on \\1.project_id = changed_orders.project_id '
            ~ 'and \\1.order_id = changed_orders.order_id', sql) -%}
    {%- elif scope == 'projects' -%}
        {%- set sql = modules.re.sub(
            '/\\* only changed projects: (\\w+) \\*/',
            'inner join build_scope as changed_projects on \\1.project_id = changed_projects.project_id', sql) -%}
    {%- elif scope == 'keys' -%}
        {%- set sql = modules.re.sub(keys_mark(), 'inner join build_scope as changed_keys on \\2', sql) -%}
    {%- elif scope == 'periods' -%}
        {%- set sql = modules.re.sub(
            period_mark() ~ '.*?/\\* end of periods \\*/',
            'inner join build_scope_spans as spans on \\2.project_id = spans.project_id '
            ~ 'and \\2.\\3 >= spans.from_at and \\2.\\3 < spans.to_at '
            ~ 'inner join build_scope_dates as periods on \\2.project_id = periods.project_id '
            ~ 'and cast(\\2.\\3 at time zone \\4 as date) = periods.local_date', sql) -%}
    {%- endif -%}
    {{ return(sql) }}
{% endmacro %}
