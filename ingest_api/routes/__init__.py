"""Routes of the ingest API."""
