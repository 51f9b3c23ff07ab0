"""config.script_tokens: what programs show instead of a login. Only the tokens' hashes come here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from database.connection import Connection
from database.repositories.users import Role

_COLUMNS = """
    token_id, name, hint, role, project_ids, expires_at, created_by, created_at, last_used_at, revoked_at, revoked_by
"""
_COUNTS = "revoked_at is null and (expires_at is null or expires_at > clock_timestamp())"


@dataclass(frozen=True, slots=True)
class ScriptTokenRow:
    token_id: UUID
    name: str
    hint: str
    """How the token begins."""
    role: Role
    project_ids: list[str] | None
    """None: all projects."""
    expires_at: datetime | None
    """None: it holds until it is revoked."""
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    """To the minute."""
    revoked_at: datetime | None
    revoked_by: str | None


async def add(
    connection: Connection,
    *,
    name: str,
    token_hash: bytes,
    hint: str,
    role: Role,
    project_ids: Sequence[str] | None,
    expires_at: datetime | None,
    created_by: str,
) -> ScriptTokenRow | None:
    """None if a token that is not revoked has this name."""
    cursor = await connection.execute(
        f"""
        insert into config.script_tokens (name, token_hash, hint, role, project_ids, expires_at, created_by)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (name) where revoked_at is null do nothing
        returning {_COLUMNS}
        """,  # noqa: S608
        [
            name, token_hash, hint, role, None if project_ids is None else list(project_ids), expires_at, created_by
        ],
    )  # fmt: skip
    row = await cursor.fetchone()
    return None if row is None else ScriptTokenRow(**row)


async def list_all(connection: Connection) -> list[ScriptTokenRow]:
    """Those that count first, then those that are revoked; each by name."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from config.script_tokens order by revoked_at is not null, name, created_at"  # noqa: S608
    )
    return [ScriptTokenRow(**row) for row in await cursor.fetchall()]


async def use(connection: Connection, token_hash: bytes) -> ScriptTokenRow | None:
    """The token with this hash, if it counts; that it is used is noted once a minute."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from config.script_tokens where token_hash = %s and {_COUNTS}",  # noqa: S608
        [token_hash],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    await connection.execute(
        """
        update config.script_tokens set last_used_at = clock_timestamp()
        where token_id = %s and coalesce(last_used_at < clock_timestamp() - interval '1 minute', true)
        """,
        [row["token_id"]],
    )
    return ScriptTokenRow(**row)


async def load(connection: Connection, token_ids: Sequence[UUID]) -> dict[UUID, ScriptTokenRow]:
    """Of these tokens those that count."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from config.script_tokens where token_id = any(%s) and {_COUNTS}",  # noqa: S608
        [list(token_ids)],
    )
    return {row["token_id"]: ScriptTokenRow(**row) for row in await cursor.fetchall()}


async def revoke(connection: Connection, token_id: UUID, by: str) -> ScriptTokenRow | None:
    """The token that is refused from now on; None if there is none that is not revoked already."""
    cursor = await connection.execute(
        f"""
        update config.script_tokens set revoked_at = clock_timestamp(), revoked_by = %s
        where token_id = %s and revoked_at is null
        returning {_COLUMNS}
        """,  # noqa: S608
        [by, token_id],
    )
    row = await cursor.fetchone()
    return None if row is None else ScriptTokenRow(**row)
