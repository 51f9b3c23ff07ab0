"""The two-way sync: queues, dead letters, conflicts, full resync."""
