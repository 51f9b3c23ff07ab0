{# The expression holds on every row where the condition does; null is not holding. #}
{% test always(model, expression, condition='true') %}
select *
from {{ model }}
where ({{ condition }}) and ({{ expression }}) is not true
{% endtest %}
