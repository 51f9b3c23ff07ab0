"""What the numbers mean: the descriptions of the dbt models and columns that they come from, word for word.

The same sentences stand in the dbt docs and in PostgreSQL; tests/unit/dashboard compares them.
"""

from __future__ import annotations

from collections.abc import Mapping

DEFINITIONS: Mapping[str, str] = {
    "agg_stage_durations": (
        "Time per stage, by period. Unit - an order's stage (all its visits), in the period in which the "
        "order last left it. Left out - stages never left."
    ),
    "agg_status_durations": (
        "Time per status, by period. Unit - one visit to a status, in the period in which it ended. Left out "
        "- visits not ended."
    ),
    "agg_cycle_durations": (
        "Time per cycle, by period. Unit - an order's finished cycle, in the period in which it ended. Left "
        "out - cycles under way."
    ),
    "rpt_sla_compliance": (
        "How many of the orders that left a stage in a period kept its limit. Left out - stages without a limit."
    ),
    "rpt_sla_compliance.compliance_rate": "(sla_ok + sla_near) / orders.",
    "rpt_sla_compliance.over_rate": "sla_over / orders.",
    "rpt_success": (
        "Orders that came to their end in a period (closed or cancelled), and how many of those not cancelled "
        "kept every limit on the way. Period - of the last event. Left out - orders still open."
    ),
    "rpt_success.on_time_rate": "on_time / (on_time + late); null if there are none.",
    "rpt_success.cancelled": "Of these, in a cancelled group (see dim_statuses.is_cancelled).",
    "rpt_cancellations": (
        "Where orders get lost: of all moves out of a stage in a period, how many went to a cancelled group. "
        "Left out - moves out of a cancelled group."
    ),
    "rpt_cancellations.cancellation_rate": "cancellations / exits.",
    "agg_daily_flow": (
        "Flow through each stage by day: orders that came in, went out, and were in it when the day ended. "
        "Unit - an order's stay in a stage while it is neither closed nor cancelled. Grain - project x local "
        "day x status group x urgency, with a row for each day on which something moved or waited, up to the "
        "day on which the project's newest event came in. Left out - orders deleted in the CRM, closing "
        "statuses, cancelled groups, moves dated later than that day."
    ),
    "agg_daily_flow.ended": (
        "Of these, because the order was closed or cancelled; summed over stages, the project's throughput."
    ),
    "agg_daily_flow.backlog": "Orders in the stage when the day ended.",
    "rpt_first_pass": (
        "Orders that came to their end in a period (closed or cancelled), and how many of those not cancelled "
        "never came back to a stage that they had left. Unit - an order. Period - of the last event. Left out "
        "- orders still open."
    ),
    "rpt_first_pass.first_pass_rate": "first_pass / (first_pass + returned); null if there are none.",
    "rpt_first_pass.returns": "How often these came back to a stage, in all.",
    "rpt_bottlenecks": (
        "The stages of a project and period, ranked by the working time that all orders spent in them. Unit - "
        "an order's stage (all its visits), in the period in which it was last left. Left out - stages that "
        "orders are still in for the first time: those are in rpt_ageing."
    ),
    "rpt_bottlenecks.working_share": (
        "total_working_seconds, of all stages of the project and period with the same is_urgent; null if "
        "there was none."
    ),
    "rpt_ageing": (
        "Open orders by how long they have been worked on in their stage and how old they are: live, at the "
        "instant of reading. Unit - an order. Grain - project x status group x urgency x both buckets. Left "
        "out - orders closed, cancelled, or deleted in the CRM."
    ),
    "agg_status_transitions": (
        "The directly-follows graph: moves of orders from one status straight to the next, with the time they "
        "were in the first. Unit - a status event of an order. Grain - project x from status x to status x "
        "urgency. Left out - the order's last status, which it has not left."
    ),
    "agg_variants": (
        "Each distinct path of orders through the statuses, with how many took it and how long they needed. "
        "Unit - an order, once. Grain - project x urgency x ended or not x path. Time - from the order's "
        "first event to its last."
    ),
    "agg_variants.orders_share": "orders, of all orders of the project with the same is_urgent and is_ended.",
}
"""Of a model, or of `model.column`."""
