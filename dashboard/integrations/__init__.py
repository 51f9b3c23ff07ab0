"""Integrations: credentials, tests, syncs, logs, statistics, uploads, webhooks of each CRM account."""
