{#
  Views are replaced in place while their columns stay, instead of dropped and made again: a view on a view (a mart on a
  staging view) lives through every build. When columns changed, the view goes with what depends on it, as in dbt's own.
#}
{% materialization view, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set grant_config = config.get('grants') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- set code_hash = hash_of_code(sql) -%}
    {%- set state = build_state(code_hash) -%}
    {%- if existing is not none and not is_there(existing) -%}
        {# It went with a table: through a function, which dbt does not know of. #}
        {%- set existing = none -%}
    {%- endif -%}
    {%- if existing is not none and (not existing.is_view or not view_columns_stay(existing, sql)) -%}
        {%- do adapter.drop_relation(existing) -%}
        {%- set existing = none -%}
    {%- endif -%}
    {% call statement('main') -%}
        {{ get_create_view_as_sql(target_relation, sql) | replace('create view', 'create or replace view') }}
    {%- endcall %}
    {%- call statement('note_built') -%}{{ note_built(state, code_hash, state.is_recoded or state.reads_rebuilt) }}{%- endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do apply_grants(target_relation, grant_config, should_revoke=should_revoke(existing, full_refresh_mode=True)) %}
    {% do persist_docs(target_relation, model) %}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro is_there(relation) %}
    {%- call statement('is_there', fetch_result=True) -%}select to_regclass('{{ relation }}') is not null{%- endcall -%}
    {{ return(load_result('is_there').table.rows[0][0]) }}
{% endmacro %}

{% macro view_columns_stay(existing, sql) %}
    {%- set before = [] -%}
    {%- for column in get_column_schema_from_query('select * from ' ~ existing) -%}
        {%- do before.append((column.name, column.data_type)) -%}
    {%- endfor -%}
    {%- set after = [] -%}
    {%- for column in get_column_schema_from_query(sql) -%}
        {%- do after.append((column.name, column.data_type)) -%}
    {%- endfor -%}
    {{ return(after[:before | length] == before) }}
{% endmacro %}

{#
  A table under contract. dbt creates it empty and inserts, which PostgreSQL never plans in parallel; here it is made from
  the query, each column cast to the contract's type, and `not null` is laid on after, all in the model's transaction.
#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if not config.get('contract').enforced -%}
    create {{ 'temporary ' if temporary }}table {{ relation }} {{ 'on commit drop ' if temporary }}as (
        {{ sql }}
    );
    {%- else -%}
    {%- set columns = model.columns.values() | list -%}
    {%- set required = columns | selectattr('constraints') | list -%}
    {%- if model.constraints or columns | map(attribute='constraints') | sum(start=[]) | rejectattr('type', 'equalto', 'not_null') | list -%}
        {{- exceptions.raise_compiler_error('Only not_null constraints of columns are laid on by this project.') -}}
    {%- endif -%}
    {{ get_assert_columns_equivalent(sql) }}
    create {{ 'temporary ' if temporary }}table {{ relation }} {{ 'on commit drop ' if temporary }}as (
        {{ select_as_promised(sql) }}
    );
    {%- if required and not temporary %}
    alter table {{ relation }}
        {%- for column in required %}
        alter column {{ column.name }} set not null{{ ',' if not loop.last }}
        {%- endfor %};
    {%- endif %}
    {%- endif %}
{%- endmacro %}

{# A model's query, each column cast to the contract's type. #}
{% macro select_as_promised(sql) -%}
    {%- if not config.get('contract').enforced -%}
    {{ sql }}
    {%- else -%}
    select
        {%- for column in model.columns.values() %}
        cast({{ column.name }} as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        {{ sql }}
    ) as model_rows
    {%- endif -%}
{%- endmacro %}

{#
  For a query that groups a large table by orders and then looks small tables up. PostgreSQL takes an order to be in as many
  groups as any tenth row: it hashes the groups, which spills to disk, and joins by merging on the project alone, comparing
  each row with all limits of its project. The index gives the rows order by order, in constant memory, and the new table
  sorted; the small tables are hashed. Half the processor time together. For the same reason it has workers group the
  rows before the leader does, which spares nothing where a group is a row or two, and costs half as much again.
#}
{% macro group_in_index_order() %}{{ return(adapter.dispatch('group_in_index_order')()) }}{% endmacro %}
{% macro postgres__group_in_index_order() -%}
    set local enable_hashagg = off; set local enable_mergejoin = off; set local max_parallel_workers_per_gather = 0
{%- endmacro %}

{# dbt's own, and `where`: an index of some of the rows. #}
{% macro postgres__get_create_index_sql(relation, index_dict) -%}
    {%- set condition = index_dict.get('where') -%}
    {%- set parts = {} -%}
    {%- for key, value in index_dict.items() if key != 'where' -%}{%- do parts.update({key: value}) -%}{%- endfor -%}
    {%- set index = adapter.parse_index(parts) -%}
    {#- The name that dbt gives is a hash of table, columns and time. -#}
    create {{ 'unique ' if index.unique }}index if not exists
        "{{ local_md5(index.render(relation) ~ (condition or '')) }}"
    on {{ relation }} {{ 'using ' ~ index.type if index.type }} ({{ index.columns | join(', ') }})
    {{- ' where ' ~ condition if condition }}
{%- endmacro %}
