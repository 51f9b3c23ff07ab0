"""Users as an admin manages them, each change in the audit log. No password and no hash is ever written there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.identity import SCRIPT
from dashboard.passwords import LEAST_CHARACTERS, MOST_CHARACTERS, hash_password, why_weak
from dashboard.sessions import normalised
from database.connection import Connection
from database.repositories import audit, settings, users
from database.repositories.users import Role, UserRow

_LONGEST_LOGIN = 200


class UserError(Exception):
    """It cannot be done. The message is one sentence for whoever asked; it names its values as `%(name)s`, so that a
    page can translate it before they are put in."""

    def __init__(self, sentence: str, *, about: str = "", **values: object) -> None:
        super().__init__(sentence % values if values else sentence)
        self.sentence = sentence
        self.about = about
        """The field that is wrong: login, password, role, projects, name, expires; empty: none of them."""
        self.values: Mapping[str, object] | None = values or None


async def add(
    connection: Connection, login: str, password: str, role: Role, project_ids: Sequence[str] | None, *, actor: str
) -> int:
    """A new user's id; `project_ids` None: all projects. Raises UserError."""
    name = _readable(login)
    check_password(password, name)
    if role == "admin" and project_ids is not None:
        raise UserError("An admin sees all projects: name projects for viewers alone.", about="projects")
    await check_projects(connection, project_ids or ())
    password_hash = await asyncio.to_thread(hash_password, password)
    async with connection.transaction():
        user_id = await users.add(connection, name, password_hash, role, project_ids)
        if user_id is None:
            raise UserError(
                "There is a user %(login)s already: give it a new password instead.", about="login", login=name
            )
        await _record(connection, actor, "added", name, None, _rights(role, project_ids))
    return user_id


async def set_password(connection: Connection, login: str, password: str, *, actor: str) -> None:
    """A new password: all sessions of the user end, and a lockout. Raises UserError."""
    user = await require(connection, login)
    check_password(password, user.login)
    password_hash = await asyncio.to_thread(hash_password, password)
    async with connection.transaction():
        await users.set_password(connection, user.user_id, password_hash)
        await _record(connection, actor, "changed", f"{user.login} password", None, None)


async def set_enabled(
    connection: Connection, login: str, *, is_enabled: bool, actor: str, by: int | None = None
) -> bool:
    """Let a user in, or keep it out from this moment; whether that is a change.

    `by` is the id of the admin who does it on a page; None: whoever has the command line. Raises UserError.
    """
    user = await require(connection, login)
    if user.is_enabled == is_enabled:
        return False
    async with connection.transaction():
        if not is_enabled:
            await _require_other_admin(connection, user, by)
        await users.set_enabled(connection, user.user_id, is_enabled=is_enabled)
        await _record(connection, actor, "enabled" if is_enabled else "disabled", user.login, None, None)
    return True


async def set_rights(
    connection: Connection,
    login: str,
    role: Role,
    project_ids: Sequence[str] | None,
    *,
    actor: str,
    by: int | None = None,
) -> None:
    """They count at once, in open streams too. `by` as in `set_enabled`. Raises UserError."""
    user = await require(connection, login)
    if role == "admin" and project_ids is not None:
        raise UserError("An admin sees all projects: name projects for viewers alone.", about="projects")
    await check_projects(connection, project_ids or ())
    if _rights(user.role, user.project_ids) == _rights(role, project_ids):
        return
    async with connection.transaction():
        if role != "admin":
            await _require_other_admin(connection, user, by)
        await users.set_rights(connection, user.user_id, role, project_ids)
        before = _rights(user.role, user.project_ids)
        await _record(connection, actor, "changed", user.login, before, _rights(role, project_ids))


async def unlock(connection: Connection, login: str, *, actor: str) -> bool:
    """End a lockout; whether there was one. Raises UserError."""
    user = await require(connection, login)
    async with connection.transaction():
        was_locked = await users.unlock(connection, user.user_id)
        if was_locked:
            await _record(connection, actor, "unlocked", user.login, None, None)
    return was_locked


async def require(connection: Connection, login: str) -> UserRow:
    """Raises UserError if there is no such user."""
    name = _readable(login)
    user = await users.find(connection, name)
    if user is None:
        raise UserError("There is no user %(login)s: the list of users shows all.", about="login", login=name)
    return user


async def _require_other_admin(connection: Connection, user: UserRow, by: int | None) -> None:
    """In a transaction, before `user` stops being an admin who may log in. Raises UserError."""
    if by is None:
        return
    if by == user.user_id:
        raise UserError("You cannot take your own rights away: ask another admin.", about="role")
    admins = await users.lock_admins(connection)
    if admins == [user.user_id]:
        raise UserError("This is the last admin: make another one first.")
    if by not in admins:
        raise UserError("You are no longer an admin: another admin has just changed that.")


def _readable(login: str) -> str:
    name = normalised(login)
    if not name or len(name) > _LONGEST_LOGIN or not name.isprintable() or " " in name or name.startswith(SCRIPT):
        raise UserError("A login is an e-mail address or a name without blanks.", about="login")
    return name


def check_password(password: str, login: str) -> None:
    """Raises UserError if a new password is too weak."""
    if reason := why_weak(password, login):
        raise UserError(reason, about="password", least=LEAST_CHARACTERS, most=MOST_CHARACTERS)


async def check_projects(connection: Connection, project_ids: Sequence[str]) -> None:
    """Raises UserError if one of them is none."""
    for project_id in project_ids:
        if await settings.load_project(connection, project_id) is None:
            raise UserError("There is no project '%(project)s'.", about="projects", project=project_id)


def _rights(role: Role, project_ids: Sequence[str] | None) -> dict[str, Any]:
    return {"role": role, "projects": None if project_ids is None else sorted(project_ids)}


async def _record(
    connection: Connection, actor: str, action: str, what: str, before: dict[str, Any] | None, after: Any
) -> None:
    await audit.record(
        connection, actor=actor, action=action, project_id=None, object=f"user {what}", before=before, after=after
    )
