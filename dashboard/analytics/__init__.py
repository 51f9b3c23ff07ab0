"""Analytics: times, cycles, SLA, flow, the process map and variants, over the aggregate marts."""
