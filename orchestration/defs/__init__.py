"""Definitions by domain; each package has one `definitions()` that `orchestration.definitions` merges."""
