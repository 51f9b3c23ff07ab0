"""Lets a project be pulled, or stops it."""

from __future__ import annotations

from connectors import registry
from connectors.errors import ConfigError
from database.connection import Connection
from database.repositories import audit, settings
from sync import projects
from sync.projects import Lookup
from sync.settings.trials import UNTRIED, is_tried

BY_HAND = "by hand"
"""Why a project is disabled, where nobody said more."""


async def switch(
    connection: Connection,
    project_id: str,
    *,
    enabled: bool,
    actor: str,
    reason: str | None = None,
    lookup: Lookup = registry.get,
) -> bool:
    """Enable or disable a project, with an entry in the audit log; whether that changed anything.

    Raises ConfigError if there is no such project, or its definition has not passed a test yet.
    """
    async with connection.transaction():
        await settings.lock(connection)
        project = await projects.load(connection, project_id, lookup)
        row = project.row
        if enabled and not await is_tried(connection, project_id, project.connector.capabilities, row.options):
            raise ConfigError(f"{project_id} cannot be enabled, {UNTRIED}")
        given = None if enabled else reason or BY_HAND
        if not await settings.set_enabled(connection, project_id, enabled, given):
            return False
        await audit.record(
            connection,
            actor=actor,
            action="enabled" if enabled else "disabled",
            project_id=project_id,
            object="project",
            before=None if row.disabled_reason is None else {"reason": row.disabled_reason},
            after=None if given is None else {"reason": given},
        )
    return True
