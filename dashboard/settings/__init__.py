"""Settings of a project: read, changed, undone, exported."""
