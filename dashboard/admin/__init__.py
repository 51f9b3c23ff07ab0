"""Users, tokens for scripts, the audit log."""
