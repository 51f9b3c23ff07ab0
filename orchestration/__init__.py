"""Dagster: schedules, backfills, batch work and the safety net. Thin calls into `sync`; no SQL, no HTTP."""
