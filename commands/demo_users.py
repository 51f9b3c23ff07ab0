"""Who may log in to the demo's dashboard."""

from __future__ import annotations

import secrets

from commands.stack import Stack
from dashboard import users

ADMIN = "admin"
VIEWER = "viewer"


async def add_users(stack: Stack, viewed: list[str]) -> list[str]:
    """An admin, and a viewer of the projects `viewed`; a sentence for each with its password, which is kept nowhere."""
    passwords = {ADMIN: secrets.token_urlsafe(12), VIEWER: secrets.token_urlsafe(12)}
    async with stack.pool(max_size=1) as pool, pool.connection() as connection:
        await users.add(connection, ADMIN, passwords[ADMIN], "admin", None, actor="cli:demo")
        await users.add(connection, VIEWER, passwords[VIEWER], "viewer", viewed, actor="cli:demo")
    return [
        f"Log in to the dashboard as {ADMIN}, password {passwords[ADMIN]}",
        f"or as {VIEWER}, who sees {' and '.join(viewed)} and changes nothing, password {passwords[VIEWER]}",
    ]
