"""Integrations: each project's access to its CRM, how its synchronisation fares, its webhooks, files and definition."""
