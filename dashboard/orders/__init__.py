"""Orders: the list with its filters, one order's timeline, urgency overrides, export."""
