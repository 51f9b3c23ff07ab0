{#
  Orders between two builds. Those that were written wait in sync.changed_orders, and orders_current computes them on the spot
  (live_orders). Folding writes some of them into int_orders__latest, so that few are left to compute; the next build does them
  for the other models. At any instant an order is either waiting or right in int_orders__latest.
  Both compute by the models' own queries (config `live`), one after the other, over the orders in question.
#}

{# The query of a model over `changed_orders`, reading the other such models by name: a step of compute_orders. #}
{% macro query_of_few_orders(sql) %}
    {%- set query = namespace(sql=select_as_promised(sql_in_scope(sql, 'orders', 'changed_orders'))) -%}
    {%- for id in live_models_before(model) -%}
        {%- set query.sql = query.sql | replace(graph.nodes[id].relation_name, graph.nodes[id].name) -%}
    {%- endfor -%}
    {{ return(without_database(query.sql)) }}
{% endmacro %}

{# A function's body is text: it must hold in a database that was copied or renamed too. #}
{% macro without_database(sql) %}{{ return(sql | replace('"' ~ target.database ~ '".', '')) }}{% endmacro %}

{# Ids of the `live` models that a model depends on, directly or not, each after those it reads. #}
{% macro live_models_before(node) %}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes if id in graph.nodes and graph.nodes[id].config.get('live') -%}
        {%- for before in live_models_before(graph.nodes[id]) + [id] if before not in found -%}
            {%- do found.append(before) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{# After a build of int_orders__latest, in its transaction. #}
{% macro create_live_functions() %}
    {%- if execute -%}
    {%- set queries = {} -%}
    {%- for row in run_query('select model, live_query from sync.build_models where live_query is not null').rows -%}
        {%- do queries.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {%- set steps = [] -%}
    {%- for id in live_models_before(model) -%}
        {%- do steps.append((graph.nodes[id], queries[graph.nodes[id].name])) -%}
    {%- endfor -%}
    {%- set columns = adapter.get_columns_in_relation(this) | map(attribute='quoted') | list -%}
    {{ without_database(live_functions(steps, queries[model.name], columns)) }}
    {%- endif -%}
{% endmacro %}

{% macro live_functions(steps, query, columns) %}
    {{- return(adapter.dispatch('live_functions')(steps, query, columns)) -}}
{% endmacro %}
{% macro postgres__live_functions(steps, query, columns) %}
    -- Plans that do not depend on the statistics of tables that are mostly empty: few orders, which are found by index, and
    -- steps that promise many rows, so that they are joined by hashing and not each with each.
    create or replace function intermediate.order_list(project_ids text[], order_ids text[])
    returns table (project_id text, order_id text)
    language plpgsql stable set search_path = pg_catalog, pg_temp rows 500 as $body$
    begin
        return query select listed.* from unnest(project_ids, order_ids) as listed;
    end
    $body$;
    revoke all on function intermediate.order_list(text[], text[]) from public;
    create or replace function intermediate.no_orders() returns table (project_id text, order_id text)
    language plpgsql stable rows 200000 as $body$
    begin
        return;
    end
    $body$;
    revoke all on function intermediate.no_orders() from public;

    -- Rows of int_orders__latest, computed now. Plpgsql, so that the plan, which takes longer to make than to run, is made once
    -- per connection.
    create or replace function intermediate.compute_orders(project_ids text[], order_ids text[]) returns setof {{ this }}
    language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan rows 500 as $body$
    #variable_conflict use_column
    begin
        return query
        with changed_orders as materialized (
            select * from intermediate.order_list(project_ids, order_ids)
        ),
        {%- for node, step in steps %}

        {{ node.name }} as materialized (
            select * from (
                {{ step }}
            ) as step
            union all
            select (cast(null as {{ node.relation_name }})).* from intermediate.no_orders()
        ),
        {%- endfor %}

        {{ model.name }} as (
            {{ query }}
        )

        select {{ columns | join(', ') }} from {{ model.name }};
    end
    $body$;
    revoke all on function intermediate.compute_orders(text[], text[]) from public;

    -- The orders that wait, with the owner's rights, as a view has them. In portions: some joins are each with each after all.
    -- Restricted, so that a query of orders_current may count those of the last build by several processes.
    create or replace function {{ live_orders() }} returns setof {{ this }}
    language plpgsql stable parallel restricted security definer set search_path = pg_catalog, pg_temp rows 100 as $body$
    declare
        portion record;
    begin
        if not exists (select from sync.changed_orders) then
            return;
        end if;
        for portion in
            select array_agg(waiting.project_id) as project_ids, array_agg(waiting.order_id) as order_ids
            from (select project_id, order_id, row_number() over () as place from sync.changed_orders) as waiting
            group by (waiting.place - 1) / 100
        loop
            return query select * from intermediate.compute_orders(portion.project_ids, portion.order_ids);
        end loop;
    end
    $body$;
    revoke all on function {{ live_orders() }} from public;
    grant execute on function {{ live_orders() }} to bi_reader;

    -- Folds up to so many waiting orders; how many it were, or null while a build writes int_orders__latest. They are taken
    -- first and computed by a later statement, which sees at least as much; what commits meanwhile waits on.
    create or replace function intermediate.fold_orders(max_orders integer) returns integer
    language plpgsql volatile set search_path = pg_catalog, pg_temp as $body$
    declare
        project_ids text[];
        order_ids text[];
    begin
        if not exists (select from sync.changed_orders) then
            return 0;
        end if;
        if not pg_try_advisory_xact_lock({{ latest_lock() }}) then
            return null;
        end if;
        select array_agg(waiting.project_id), array_agg(waiting.order_id) into project_ids, order_ids
        from (select project_id, order_id from sync.changed_orders limit max_orders) as waiting;

        with taken as (
            delete from sync.order_changes as changes
            using intermediate.order_list(project_ids, order_ids) as folding
            where changes.project_id = folding.project_id and changes.order_id = folding.order_id
            returning changes.project_id, changes.order_id
        )
        insert into sync.order_changes_folded (project_id, order_id) select distinct project_id, order_id from taken
        on conflict do nothing;
        update sync.build_orders as noted set is_waiting = false
        from intermediate.order_list(project_ids, order_ids) as folding
        where noted.is_waiting and noted.project_id = folding.project_id and noted.order_id = folding.order_id;

        with fresh as materialized (
            select * from intermediate.compute_orders(project_ids, order_ids)
        ),

        -- Deleted in the CRM, or without events any more.
        gone as (
            delete from {{ this }} as latest
            using intermediate.order_list(project_ids, order_ids) as folding
            where
                latest.project_id = folding.project_id and latest.order_id = folding.order_id
                and (latest.project_id, latest.order_id) not in (select project_id, order_id from fresh)
        )

        insert into {{ this }} as latest ({{ columns | join(', ') }})
        select {{ columns | join(', ') }} from fresh
        on conflict (project_id, order_id) do update
        set ({{ columns | join(', ') }}) = row(excluded.{{ columns | join(', excluded.') }})
        where (latest.{{ columns | join(', latest.') }}) is distinct from (excluded.{{ columns | join(', excluded.') }});
        return coalesce(cardinality(order_ids), 0);
    end
    $body$;
    revoke all on function intermediate.fold_orders(integer) from public
{% endmacro %}

{% macro live_orders() %}intermediate.live_orders(){% endmacro %}

{# A build writes int_orders__latest under the same lock, before it reads what it writes. #}
{% macro latest_lock() -%}
    hashtextextended('crm_elt.orders_latest', 0)
{%- endmacro %}
{% macro wait_for_folding() %}{{ return(adapter.dispatch('wait_for_folding')()) }}{% endmacro %}
{% macro postgres__wait_for_folding() -%}
    select pg_advisory_xact_lock({{ latest_lock() }})
{%- endmacro %}

{# What was folded since the build began may be newer than what the build has now written: it waits again. So does what a build
   of a selection, or of everything from older tables, has not brought up to its batch. #}
{% macro unfold_orders() %}{{ return(adapter.dispatch('unfold_orders')()) }}{% endmacro %}
{% macro postgres__unfold_orders() -%}
    with folded as (delete from sync.order_changes_folded returning project_id, order_id)
    insert into sync.order_changes (project_id, order_id) select project_id, order_id from folded;
    update sync.build_orders set is_waiting = true
    where
        not is_waiting and order_id <> ''
        and batch_id > (select batch_id from sync.build_models where model = '{{ model.name }}')
{%- endmacro %}
