{#
  Time, engine by engine. Inside the models an instant is a whole number of microseconds since 1970-01-01 UTC (bigint):
  exact, cheap to compare and to subtract. Nothing here depends on the session's time zone.
#}

{% macro us_per_day() %}86400000000{% endmacro %}

{# Instant -> microseconds. PostgreSQL keeps an instant as microseconds since 2000-01-01 and sends it so; `extract` makes it
   numeric, which takes ten times as long. The cast of bytes to bigint is new in PostgreSQL 18. #}
{% macro epoch_us(instant) %}{{ return(adapter.dispatch('epoch_us')(instant)) }}{% endmacro %}
{% macro postgres__epoch_us(instant) -%}
    (cast(timestamptz_send({{ instant }}) as bigint) + 946684800000000)
{%- endmacro %}

{# Microseconds -> instant. Seconds and the rest apart: interval multiplication goes through float8, exact below 2^53. #}
{% macro instant_of(us) %}{{ return(adapter.dispatch('instant_of')(us)) }}{% endmacro %}
{% macro postgres__instant_of(us) -%}
    (timestamptz '1970-01-01 00:00:00+00'
        + ({{ us }}) / 1000000 * interval '1 second' + ({{ us }}) % 1000000 * interval '1 microsecond')
{%- endmacro %}

{# Microseconds -> seconds, as every mart shows them. #}
{% macro seconds_of(us) -%}
    cast(({{ us }}) * 0.000001 as numeric(20, 6))
{%- endmacro %}

{% macro us_of(seconds) -%}
    cast(({{ seconds }}) * 1000000 as bigint)
{%- endmacro %}

{% macro current_instant() %}{{ return(adapter.dispatch('current_instant')()) }}{% endmacro %}
{% macro postgres__current_instant() -%}
    now()
{%- endmacro %}

{# Before and after every other instant. #}
{% macro long_ago() %}{{ return(adapter.dispatch('long_ago')()) }}{% endmacro %}
{% macro postgres__long_ago() -%}
    timestamptz '-infinity'
{%- endmacro %}

{% macro never() %}{{ return(adapter.dispatch('never')()) }}{% endmacro %}
{% macro postgres__never() -%}
    timestamptz 'infinity'
{%- endmacro %}

{# A local wall-clock time that DST skips or repeats has two readings; PostgreSQL takes the smaller offset from UTC, as a
   rule standard time. Other engines must do the same. #}
{% macro local_instant(local_date, wall_time, time_zone) -%}
    {{ return(adapter.dispatch('local_instant')(local_date, wall_time, time_zone)) }}
{%- endmacro %}
{% macro postgres__local_instant(local_date, wall_time, time_zone) -%}
    (({{ local_date }} + {{ wall_time }}) at time zone {{ time_zone }})
{%- endmacro %}

{# First local date of the day, ISO week or month (`grain`) in which an instant falls. #}
{% macro period_start(grain, instant, time_zone) %}
    {{- return(adapter.dispatch('period_start')(grain, instant, time_zone)) -}}
{% endmacro %}
{% macro postgres__period_start(grain, instant, time_zone) -%}
    cast(date_trunc({{ grain }}, {{ instant }} at time zone {{ time_zone }}) as date)
{%- endmacro %}

{# Days since 1970-01-01, of a date, of an instant (its UTC date) and of microseconds; and back. #}
{% macro day_of_date(local_date) %}{{ return(adapter.dispatch('day_of_date')(local_date)) }}{% endmacro %}
{% macro postgres__day_of_date(local_date) -%}
    ({{ local_date }} - date '1970-01-01')
{%- endmacro %}

{% macro utc_date(instant) %}{{ return(adapter.dispatch('utc_date')(instant)) }}{% endmacro %}
{% macro postgres__utc_date(instant) -%}
    cast({{ instant }} at time zone 'UTC' as date)
{%- endmacro %}

{% macro date_of_day(day_number) %}{{ return(adapter.dispatch('date_of_day')(day_number)) }}{% endmacro %}
{% macro postgres__date_of_day(day_number) -%}
    (date '1970-01-01' + cast({{ day_number }} as integer))
{%- endmacro %}

{# The instants at which a UTC date begins and ends. #}
{% macro start_of_utc_date(utc_day) -%}
    {{ instant_of(day_of_date(utc_day) ~ ' * ' ~ us_per_day()) }}
{%- endmacro %}
{% macro end_of_utc_date(utc_day) -%}
    {{ instant_of('(' ~ day_of_date(utc_day) ~ ' + 1) * ' ~ us_per_day()) }}
{%- endmacro %}

{% macro thirty_days_ago() -%}
    ({{ current_instant() }} - interval '30 days')
{%- endmacro %}

{# Integer division; calendars begin on day 1, so that instants before 1970, which it would round up, find no day. #}
{% macro day_of_us(us) -%}
    (({{ us }}) / {{ us_per_day() }})
{%- endmacro %}

{% macro us_in_day(us) -%}
    (({{ us }}) % {{ us_per_day() }})
{%- endmacro %}

{% macro iso_weekday(local_date) %}{{ return(adapter.dispatch('iso_weekday')(local_date)) }}{% endmacro %}
{% macro postgres__iso_weekday(local_date) -%}
    cast(extract(isodow from {{ local_date }}) as smallint)
{%- endmacro %}
