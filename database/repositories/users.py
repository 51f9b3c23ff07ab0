"""config.users: who may look at the dashboard. Passwords are hashed before they come here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from database.connection import Connection

Role = Literal["admin", "viewer"]
CHANNEL = "crm_elt_users"
"""Notified when rights of a user change, or a session ends."""

_COLUMNS = "user_id, login, role, project_ids, is_enabled, locked_until, token_version, last_login_at, created_at"


@dataclass(frozen=True, slots=True)
class UserRow:
    user_id: int
    login: str
    role: Role
    project_ids: list[str] | None
    """None: all projects."""
    is_enabled: bool
    locked_until: datetime | None
    token_version: int
    last_login_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that was begun: it counts as failed until it has succeeded."""

    user_id: int
    is_enabled: bool
    token_version: int
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Locked:
    """Too many attempts have failed."""

    until: datetime


async def add(
    connection: Connection, login: str, password_hash: str, role: Role, project_ids: Sequence[str] | None
) -> int | None:
    """A new user's id; None if the login is taken."""
    cursor = await connection.execute(
        """
        insert into config.users (login, password_hash, role, project_ids) values (%s, %s, %s, %s)
        on conflict (login) do nothing
        returning user_id
        """,
        [login, password_hash, role, None if project_ids is None else list(project_ids)],
    )
    row = await cursor.fetchone()
    return None if row is None else row["user_id"]


async def find(connection: Connection, login: str) -> UserRow | None:
    cursor = await connection.execute(f"select {_COLUMNS} from config.users where login = %s", [login])  # noqa: S608
    row = await cursor.fetchone()
    return None if row is None else UserRow(**row)


async def list_all(connection: Connection) -> list[UserRow]:
    """By login."""
    cursor = await connection.execute(f"select {_COLUMNS} from config.users order by login")  # noqa: S608
    return [UserRow(**row) for row in await cursor.fetchall()]


async def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    """Also ends the user's sessions and a lockout."""
    await connection.execute(
        """
        update config.users
        set password_hash = %s, token_version = token_version + 1, failed_logins = 0, failing_since = null,
            locked_until = null, updated_at = clock_timestamp()
        where user_id = %s
        """,
        [password_hash, user_id],
    )


async def replace_hash(connection: Connection, user_id: int, old: str, new: str) -> None:
    """The same password, hashed with newer parameters."""
    await connection.execute(
        "update config.users set password_hash = %s where user_id = %s and password_hash = %s", [new, user_id, old]
    )


async def set_enabled(connection: Connection, user_id: int, *, is_enabled: bool) -> None:
    """A user that is disabled is logged out everywhere."""
    await connection.execute(
        """
        update config.users
        set is_enabled = %(enabled)s, token_version = token_version + case when %(enabled)s then 0 else 1 end,
            updated_at = clock_timestamp()
        where user_id = %(user)s
        """,
        {"enabled": is_enabled, "user": user_id},
    )


async def set_rights(connection: Connection, user_id: int, role: Role, project_ids: Sequence[str] | None) -> None:
    """They count at once, in open sessions too."""
    await connection.execute(
        "update config.users set role = %s, project_ids = %s, updated_at = clock_timestamp() where user_id = %s",
        [role, None if project_ids is None else list(project_ids), user_id],
    )


async def unlock(connection: Connection, user_id: int) -> bool:
    """End a lockout, and forget the failures before it; whether there was one."""
    cursor = await connection.execute(
        """
        update config.users as u
        set failed_logins = 0, failing_since = null, locked_until = null, updated_at = clock_timestamp()
        from (select user_id, locked_until from config.users where user_id = %s for update) as before
        where u.user_id = before.user_id
        returning coalesce(before.locked_until > clock_timestamp(), false) as was_locked
        """,
        [user_id],
    )
    row = await cursor.fetchone()
    return row is not None and bool(row["was_locked"])


async def lock_admins(connection: Connection) -> list[int]:
    """Ids of the admins who may log in, who stay so until the caller's transaction ends."""
    cursor = await connection.execute(
        "select user_id from config.users where role = 'admin' and is_enabled order by user_id for update"
    )
    return [row["user_id"] for row in await cursor.fetchall()]


async def get(connection: Connection, user_id: int) -> UserRow | None:
    cursor = await connection.execute(f"select {_COLUMNS} from config.users where user_id = %s", [user_id])  # noqa: S608
    row = await cursor.fetchone()
    return None if row is None else UserRow(**row)


async def begin_attempt(
    connection: Connection, login: str, *, most_failures: int, lock_seconds: float
) -> Attempt | Locked | None:
    """Count an attempt as failed before its password is looked at, so that many at once are no way around the lockout.
    So many failures within `lock_seconds` lock the login for as long.

    None: there is no such user.
    """
    cursor = await connection.execute(
        """
        update config.users as u
        set failed_logins = counted.failures,
            failing_since = case when counted.failures = 1 then clock_timestamp() else u.failing_since end,
            locked_until = case
                when counted.failures >= %(most)s then clock_timestamp() + %(seconds)s * interval '1 second'
            end
        from (
            select user_id,
                case
                    when locked_until is null
                        and failing_since > clock_timestamp() - %(seconds)s * interval '1 second'
                    then failed_logins + 1
                    else 1
                end as failures
            from config.users
            where login = %(login)s and (locked_until is null or locked_until <= clock_timestamp())
            for update
        ) as counted
        where u.user_id = counted.user_id
        returning u.user_id, u.is_enabled, u.token_version, u.password_hash
        """,
        {"login": login, "most": most_failures, "seconds": lock_seconds},
    )
    row = await cursor.fetchone()
    if row is not None:
        return Attempt(**row)
    cursor = await connection.execute("select locked_until from config.users where login = %s", [login])
    row = await cursor.fetchone()
    return None if row is None or row["locked_until"] is None else Locked(row["locked_until"])


async def note_success(connection: Connection, user_id: int) -> None:
    await connection.execute(
        """
        update config.users
        set failed_logins = 0, failing_since = null, locked_until = null, last_login_at = clock_timestamp()
        where user_id = %s
        """,
        [user_id],
    )
