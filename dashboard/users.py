"""Users as an admin manages them, each change in the audit log. No password and no hash is ever written there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from dashboard.passwords import hash_password, why_weak
from dashboard.sessions import normalised
from database.connection import Connection
from database.repositories import audit, settings, users
from database.repositories.users import Role, UserRow

_LONGEST_LOGIN = 200


class UserError(Exception):
    """It cannot be done. The message is one sentence for whoever asked."""


async def add(
    connection: Connection, login: str, password: str, role: Role, project_ids: Sequence[str] | None, *, actor: str
) -> int:
    """A new user's id; `project_ids` None: all projects. Raises UserError."""
    name = _readable(login)
    _check_password(password, name)
    if role == "admin" and project_ids is not None:
        raise UserError("An admin sees all projects: name projects for viewers alone.")
    await _check_projects(connection, project_ids or ())
    password_hash = await asyncio.to_thread(hash_password, password)
    async with connection.transaction():
        user_id = await users.add(connection, name, password_hash, role, project_ids)
        if user_id is None:
            raise UserError(f"There is a user {name} already: `crm-elt user set-password` gives it a new password.")
        await _record(connection, actor, "added", name, None, _rights(role, project_ids))
    return user_id


async def set_password(connection: Connection, login: str, password: str, *, actor: str) -> None:
    """A new password: all sessions of the user end, and a lockout. Raises UserError."""
    user = await require(connection, login)
    _check_password(password, user.login)
    password_hash = await asyncio.to_thread(hash_password, password)
    async with connection.transaction():
        await users.set_password(connection, user.user_id, password_hash)
        await _record(connection, actor, "changed", f"{user.login} password", None, None)


async def set_enabled(connection: Connection, login: str, *, is_enabled: bool, actor: str) -> bool:
    """Let a user in, or keep it out from this moment; whether that is a change. Raises UserError."""
    user = await require(connection, login)
    if user.is_enabled == is_enabled:
        return False
    async with connection.transaction():
        await users.set_enabled(connection, user.user_id, is_enabled=is_enabled)
        await _record(connection, actor, "enabled" if is_enabled else "disabled", user.login, None, None)
    return True


async def set_rights(
    connection: Connection, login: str, role: Role, project_ids: Sequence[str] | None, *, actor: str
) -> None:
    """They count at once, in open streams too. Raises UserError."""
    user = await require(connection, login)
    if role == "admin" and project_ids is not None:
        raise UserError("An admin sees all projects: name projects for viewers alone.")
    await _check_projects(connection, project_ids or ())
    async with connection.transaction():
        await users.set_rights(connection, user.user_id, role, project_ids)
        before = _rights(user.role, user.project_ids)
        await _record(connection, actor, "changed", user.login, before, _rights(role, project_ids))


async def require(connection: Connection, login: str) -> UserRow:
    """Raises UserError if there is no such user."""
    name = _readable(login)
    user = await users.find(connection, name)
    if user is None:
        raise UserError(f"There is no user {name}: `crm-elt user list` shows all.")
    return user


def _readable(login: str) -> str:
    name = normalised(login)
    if not name or len(name) > _LONGEST_LOGIN or not name.isprintable() or " " in name:
        raise UserError("A login is an e-mail address or a name without blanks.")
    return name


def _check_password(password: str, login: str) -> None:
    if reason := why_weak(password, login):
        raise UserError(reason)


async def _check_projects(connection: Connection, project_ids: Sequence[str]) -> None:
    for project_id in project_ids:
        if await settings.load_project(connection, project_id) is None:
            raise UserError(f"There is no project {project_id!r}: `crm-elt project list` shows all.")


def _rights(role: Role, project_ids: Sequence[str] | None) -> dict[str, Any]:
    return {"role": role, "projects": None if project_ids is None else sorted(project_ids)}


async def _record(
    connection: Connection, actor: str, action: str, what: str, before: dict[str, Any] | None, after: Any
) -> None:
    await audit.record(
        connection, actor=actor, action=action, project_id=None, object=f"user {what}", before=before, after=after
    )
