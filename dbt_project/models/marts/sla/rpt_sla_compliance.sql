{{ config(materialized='view') }}
-- How many of the orders that left a stage kept its limit.
select
    grain,
    period_start,
    project_id,
    status_group_id,
    status_group_name,
    is_urgent,
    sla_ok + sla_near + sla_over as orders,
    sla_ok,
    sla_near,
    sla_over,
    {{ share('sla_ok + sla_near', 'sla_ok + sla_near + sla_over') }} as compliance_rate,
    {{ share('sla_over', 'sla_ok + sla_near + sla_over') }} as over_rate
from {{ ref('agg_stage_durations') }}
where sla_ok + sla_near + sla_over > 0
