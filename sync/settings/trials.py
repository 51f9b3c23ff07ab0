"""Projects whose options say how records are read are pulled only once a test with these very options has passed.

That a test passed is an entry of the audit log, with the fingerprint of the options that it passed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.protocol import Capabilities
from database.connection import Connection
from database.repositories import audit, settings
from database.repositories.settings import ProjectRow

UNTRIED = "its definition has not passed a test yet"
"""Why such a project is disabled."""
_ACTION, _OBJECT = "tried", "definition"


async def is_tried(
    connection: Connection, project_id: str, capabilities: Capabilities, options: Mapping[str, Any]
) -> bool:
    """Whether the project may be pulled with these options; always, where the connector needs no test."""
    if capabilities.trial is None:
        return True
    return await audit.is_recorded(
        connection, project_id=project_id, action=_ACTION, object=_OBJECT, after=_entry(capabilities.trial(options))
    )


async def hold_back(
    connection: Connection, project_id: str, capabilities: Capabilities, options: Mapping[str, Any]
) -> None:
    """Let a project with options that were just stored be pulled, or wait for a test. One that is disabled for another
    reason stays as it is."""
    row = await settings.load_project(connection, project_id)
    assert row is not None
    if await is_tried(connection, project_id, capabilities, options):
        if waits(row):
            await settings.set_enabled(connection, project_id, True)
    elif row.is_enabled:
        await settings.set_enabled(connection, project_id, False, UNTRIED)


def waits(row: ProjectRow) -> bool:
    """Whether the project is disabled for want of a test alone."""
    return not row.is_enabled and row.disabled_reason == UNTRIED


async def record_passed(
    connection: Connection, project_id: str, capabilities: Capabilities, tried: Mapping[str, Any], actor: str
) -> bool:
    """Note that a test with the options `tried` has passed. If the project still has these, it may be pulled from now
    on: whether that changed anything."""
    if capabilities.trial is None:
        return False
    async with connection.transaction():
        await settings.lock(connection)
        fingerprint = capabilities.trial(tried)
        if not await is_tried(connection, project_id, capabilities, tried):
            await audit.record(
                connection,
                actor=actor,
                action=_ACTION,
                project_id=project_id,
                object=_OBJECT,
                after=_entry(fingerprint),
            )
        row = await settings.load_project(connection, project_id)
        if row is None or not waits(row) or capabilities.trial(row.options) != fingerprint:
            return False
        return await settings.set_enabled(connection, project_id, True)


def _entry(fingerprint: str) -> dict[str, str]:
    return {"fingerprint": fingerprint}
