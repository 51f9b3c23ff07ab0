select
    project_id,
    cycle_rule_id,
    title as cycle_title,
    start_group_id,
    start_status_id,
    end_group_id,
    end_status_id,
    is_default
from {{ source('config', 'cycle_rules') }}
