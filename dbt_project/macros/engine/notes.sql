{#
  What a build's changed orders touch, noted in the transaction that writes their facts: the periods and keys of it are
  aggregated anew. Both as it was and as it is: an event may have moved, an order may have taken another path, or be gone.
#}

{# Before the rows of the orders in build_scope are written. #}
{% macro note_before(state) -%}
    {%- if this.identifier == 'fct_order_status_intervals' %}
        {{ note_dates(state) }};
        {{ note_transitions(state) }};
    {%- elif this.identifier == 'int_orders__paths' %}
        {{ note_variants(state) }};
    {%- endif %}
{%- endmacro %}

{# And after. #}
{% macro note_after(state) -%}
    {%- if config.get('notes_dates') %}
        {{ note_dates(state) }};
    {%- endif %}
    {%- if this.identifier == 'fct_order_status_intervals' %}
        {{ note_transitions(state) }}
    {%- elif this.identifier == 'int_orders__paths' %}
        {{ note_variants(state) }}
    {%- endif %}
{%- endmacro %}

{# The local dates of all events of these orders. All of them, since a stage that left its limit counts elsewhere too. #}
{% macro note_dates(state) -%}
    insert into sync.build_dates (batch_id, project_id, local_date)
    select distinct {{ state.batch }}, facts.project_id, cast(moments.at at time zone projects.timezone as date)
    from build_scope as scope
    inner join {{ intervals_relation() }} as facts
        on scope.project_id = facts.project_id
        and scope.order_id = facts.order_id
    inner join config.projects as projects on facts.project_id = projects.project_id
    cross join lateral (values (facts.entered_at), (facts.left_at)) as moments (at)
    where isfinite(moments.at)
    on conflict do nothing
{%- endmacro %}

{# The moves of these orders from status to status; '' is what was before the first. #}
{% macro note_transitions(state) -%}
    insert into sync.build_transitions (batch_id, project_id, from_status_id, to_status_id, is_urgent)
    select distinct {{ state.batch }}, facts.project_id, moves.from_status_id, moves.to_status_id, facts.is_urgent
    from build_scope as scope
    inner join {{ this }} as facts
        on scope.project_id = facts.project_id
        and scope.order_id = facts.order_id
    cross join lateral (
        select facts.status_id, facts.next_status_id where facts.left_at is not null
        union all
        select '', facts.status_id where facts.interval_number = 1
    ) as moves (from_status_id, to_status_id)
    on conflict do nothing
{%- endmacro %}

{# The whole ways of these orders. #}
{% macro note_variants(state) -%}
    insert into sync.build_variants (batch_id, project_id, is_urgent, is_ended, variant_id)
    select distinct {{ state.batch }}, paths.project_id, paths.is_urgent, paths.is_ended, paths.variant_id
    from build_scope as scope
    inner join {{ this }} as paths
        on scope.project_id = paths.project_id
        and scope.order_id = paths.order_id
    on conflict do nothing
{%- endmacro %}
