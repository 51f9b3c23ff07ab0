"""The demo: simulated CRM accounts, their settings, and what happens on them. Product code never imports it."""
