"""Analytics: times by stage and status, cycles, SLA compliance, flow, the process map."""
