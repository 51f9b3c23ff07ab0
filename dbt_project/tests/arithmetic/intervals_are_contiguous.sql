-- Each interval ends where the next begins; only the last has no end, and the numbers run from 1 without a gap.
with numbered as (
    select
        intervals.project_id,
        intervals.order_id,
        interval_number,
        entered_at,
        left_at,
        lead(interval_number) over order_history as next_number,
        lead(entered_at) over order_history as next_entered_at
    from {{ ref('fct_order_status_intervals') }} as intervals
    {{ only_tested_orders('intervals', ['fct_order_status_intervals']) }}
    window order_history as (partition by intervals.project_id, intervals.order_id order by interval_number)
)

select *
from numbered
where
    left_at is distinct from next_entered_at
    or left_at < entered_at
    or coalesce(next_number, interval_number + 1) <> interval_number + 1
