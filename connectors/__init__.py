"""One package per CRM: client, mapping, webhooks, simulator. No database, no Dagster, nothing else of ours."""
