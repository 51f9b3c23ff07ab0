"""The first page: projects as cards."""
