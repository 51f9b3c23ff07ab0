"""The flows: pull, normalise, requests, replay, relay. No Dagster, no HTTP server, no SQL."""
