"""config.sessions: where people are logged in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from database.connection import Connection
from database.repositories.users import Role

Kind = Literal["cookie", "bearer"]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that counts, with its user's rights as they are now."""

    session_id: UUID
    kind: Kind
    generation: int
    is_confirmed: bool
    """Its newest token has been used."""
    is_settled: bool
    """So long ago that the token before it is not taken any more."""
    token_expires_at: datetime
    expires_at: datetime
    user_id: int
    login: str
    role: Role
    project_ids: list[str] | None


async def open_session(
    connection: Connection, user_id: int, kind: Kind, token_version: int, *, token_seconds: float, seconds: float
) -> tuple[UUID, datetime]:
    """A new session's id, and until when its first token holds. Sessions of this user that are over are forgotten."""
    await connection.execute(
        "delete from config.sessions where user_id = %s and expires_at < clock_timestamp()", [user_id]
    )
    cursor = await connection.execute(
        """
        insert into config.sessions (user_id, kind, token_version, token_expires_at, expires_at)
        values (
            %(user)s, %(kind)s, %(version)s, clock_timestamp() + %(token)s * interval '1 second',
            clock_timestamp() + %(all)s * interval '1 second'
        )
        returning session_id, token_expires_at
        """,
        {"user": user_id, "kind": kind, "version": token_version, "token": token_seconds, "all": seconds},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["session_id"], row["token_expires_at"]


async def load(connection: Connection, session_ids: Sequence[UUID], *, grace_seconds: float) -> dict[UUID, SessionRow]:
    """Of these sessions those that count: not ended, not expired, of a user who is enabled and whose password is still
    the one they were opened with. `grace_seconds`: how long the token before the newest one is taken."""
    cursor = await connection.execute(
        """
        select s.session_id, s.kind, s.generation, s.confirmed_at is not null as is_confirmed,
            coalesce(s.confirmed_at < clock_timestamp() - %(grace)s * interval '1 second', false) as is_settled,
            s.token_expires_at, s.expires_at, u.user_id, u.login, u.role, u.project_ids
        from config.sessions as s
        join config.users as u on u.user_id = s.user_id
        where s.session_id = any(%(ids)s)
            and s.ended_at is null and s.token_expires_at > clock_timestamp() and s.expires_at > clock_timestamp()
            and u.is_enabled and u.token_version = s.token_version
        """,
        {"ids": list(session_ids), "grace": grace_seconds},
    )
    return {row["session_id"]: SessionRow(**row) for row in await cursor.fetchall()}


async def confirm(connection: Connection, session_id: UUID, generation: int) -> None:
    """The newest token has arrived: it was used."""
    await connection.execute(
        """
        update config.sessions set confirmed_at = clock_timestamp()
        where session_id = %s and generation = %s and confirmed_at is null
        """,
        [session_id, generation],
    )


async def rotate(
    connection: Connection, session_id: UUID, generation: int, *, token_seconds: float
) -> tuple[int, datetime] | None:
    """The generation and end of a new token in place of this one; None if it is not the newest any more."""
    cursor = await connection.execute(
        """
        update config.sessions
        set generation = generation + 1, confirmed_at = null,
            token_expires_at = least(expires_at, clock_timestamp() + %s * interval '1 second')
        where session_id = %s and generation = %s and ended_at is null
        returning generation, token_expires_at
        """,
        [token_seconds, session_id, generation],
    )
    row = await cursor.fetchone()
    return None if row is None else (row["generation"], row["token_expires_at"])


async def end(connection: Connection, session_id: UUID, because: Literal["logout", "reuse"]) -> None:
    await connection.execute(
        """
        update config.sessions set ended_at = clock_timestamp(), ended_because = %s
        where session_id = %s and ended_at is null
        """,
        [because, session_id],
    )
