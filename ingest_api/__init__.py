"""The ingest API: verify, land raw, answer. Every landing route answers 200 only after the row is committed."""
