{# SQL functions for BI tools, engine by engine. #}

{#
  How dbt makes a function (folder functions/) on PostgreSQL. Four things that dbt's own form leaves out:
  - `security definer`, because callers may read marts and nothing else; with a pinned search path, so that nobody's
    operators of the same name are called with the owner's rights. Executed by bi_reader alone: PUBLIC has it by default.
  - `parallel safe`: they only read.
  - its description as a comment.
  - a function whose arguments changed replaces the old one, instead of standing beside it under the same name.
  The body is a string and not `begin atomic`: dbt drops and renames tables, which would take the function with them.
#}
{% macro postgres__scalar_function_sql(target_relation) %}
    {%- set arguments = [] -%}
    {%- for argument in model.arguments -%}
        {%- do arguments.append(argument.name ~ ' ' ~ argument.data_type) -%}
    {%- endfor -%}
    {%- set signature = target_relation.render() ~ '(' ~ arguments | join(', ') ~ ')' -%}
    do $do$
    declare
        former regprocedure;
    begin
        for former in
            select oid from pg_catalog.pg_proc
            where
                pronamespace = '{{ target_relation.schema }}'::regnamespace
                and proname = '{{ target_relation.identifier }}'
                and pg_get_function_identity_arguments(oid) <> '{{ arguments | join(', ') }}'
        loop
            execute format('drop function %s', former);
        end loop;
    end
    $do$;
    {{ scalar_function_create_replace_signature_sql(target_relation) }} $body$
        {{ model.compiled_code }}
    $body$ language sql parallel safe security definer set search_path = pg_catalog, pg_temp;
    comment on function {{ signature }} is $comment${{ model.description }}$comment$;
    revoke all on function {{ signature }} from public;
    grant execute on function {{ signature }} to bi_reader
{% endmacro %}

{# An instant, or null for those that are not on the time line ('infinity'). #}
{% macro finite_instant(instant) %}{{ return(adapter.dispatch('finite_instant')(instant)) }}{% endmacro %}
{% macro postgres__finite_instant(instant) -%}
    case when isfinite({{ instant }}) then {{ instant }} end
{%- endmacro %}
