{#
  Which rows a test reads. A build after the first changes few orders, and its tests read the rows of those: of models of
  scope `orders`, and in the tests of dbt_project/tests. All rows are read by `dbt test`, by a full refresh, by a build with
  CRM_ELT_TEST_ALL_ROWS set (the nightly one), and where this build has made a table anew as a whole, or not at all (a test
  that was selected by name). Models of scope `live` are views that compute all orders on reading: tested with all rows only.
#}

{# dbt lays this around the model of each generic test. #}
{% macro get_where_subquery(relation) %}
    {%- set rows = dbt.default__get_where_subquery(relation) -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute -%}
    {%- if not tested -%}{{ return(rows) }}{%- endif -%}
    {%- set scope = tested.config.get('scope') -%}
    {%- if scope not in ['orders', 'live'] or tested_after([tested.name]) is none -%}{{ return(rows) }}{%- endif -%}
    {%- set few -%}
        (
            select tested_rows.*
            from {{ rows if rows is string else rows ~ ' as tested_rows' }}
            {{ only_tested_orders('tested_rows', [tested.name]) if scope == 'orders' else 'where false' }}
        ) as few_rows
    {%- endset -%}
    {{ return(few) }}
{% endmacro %}

{# After a relation in the FROM clause of a test: only rows of the orders that this build has computed in one of `models`. #}
{% macro only_tested_orders(alias, models) -%}
    {%- set after = tested_after(models) -%}
    {%- if after is not none -%}
    inner join (
        select project_id, order_id from sync.build_orders where batch_id > {{ after }} group by project_id, order_id
    ) as tested_{{ alias }}
        on {{ alias }}.project_id = tested_{{ alias }}.project_id
        and {{ alias }}.order_id = tested_{{ alias }}.order_id
    {%- endif -%}
{%- endmacro %}

{# The same of projects. #}
{% macro only_tested_projects(alias, models) -%}
    {%- set after = tested_after(models) -%}
    {%- if after is not none -%}
    inner join (
        select project_id from sync.build_orders where batch_id > {{ after }} group by project_id
    ) as tested_{{ alias }} on {{ alias }}.project_id = tested_{{ alias }}.project_id
    {%- endif -%}
{%- endmacro %}

{# The same of the local dates whose periods this build has computed; `local_date` is an expression. #}
{% macro only_tested_dates(alias, local_date, models) -%}
    {%- set after = tested_after(models) -%}
    {%- if after is not none -%}
    inner join (
        select project_id, local_date from sync.build_dates where batch_id > {{ after }} group by project_id, local_date
    ) as tested_{{ alias }}
        on {{ alias }}.project_id = tested_{{ alias }}.project_id
        and {{ local_date }} = tested_{{ alias }}.local_date
    {%- endif -%}
{%- endmacro %}

{# An order of a row that has been written since the build took what there was: what the tables say of it is not yet true. #}
{% macro not_written_since(alias) -%}
    not exists (
        select 1
        from {{ ref('stg_sync__orders_ahead') }} as written
        where {{ alias }}.project_id = written.project_id and {{ alias }}.order_id = written.order_id
    )
{%- endmacro %}

{# The batch up to which the rows of models are not to be tested again; none: test all rows. #}
{% macro tested_after(models) %}
    {%- if not execute or flags.WHICH != 'build' or flags.FULL_REFRESH or env_var('CRM_ELT_TEST_ALL_ROWS', '') -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return(adapter.dispatch('tested_after')(models)) }}
{% endmacro %}
{% macro postgres__tested_after(models) %}
    {%- set row = run_query(
        "select count(*), min(from_batch_id) from sync.build_models where model in ('" ~ models | join("', '") ~ "')"
        ~ ' and built_batch_id = (select max(batch_id) from sync.build_batches) and rebuilt_batch_id < built_batch_id'
    ).rows[0] -%}
    {{ return(row[1] | int if row[0] == models | length else none) }}
{% endmacro %}
