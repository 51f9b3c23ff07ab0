"""Changing one's own password."""

from __future__ import annotations

from dashboard import users
from dashboard.identity import Identity
from dashboard.services import Services
from database.connection import Connection


async def change_own_password(
    services: Services, connection: Connection, identity: Identity, current: str, new: str
) -> None:
    """All sessions end. Raises UserError, the new one is too weak; ProblemError, the current one is wrong."""
    users.check_password(new, identity.login)
    await services.sessions.require_password(connection, identity.login, current)
    await users.set_password(connection, identity.login, new, actor=identity.actor)
