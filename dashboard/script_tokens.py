"""Tokens for scripts: `crm_` and 256 random bits, shown once. What is stored is their SHA-256."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dashboard.tokens import SCRIPT_PREFIX, script_hash
from dashboard.users import UserError, check_projects
from database.connection import Connection
from database.repositories import audit, script_tokens
from database.repositories.script_tokens import ScriptTokenRow
from database.repositories.users import Role

_LONGEST_NAME = 80
_HINT = 8


@dataclass(frozen=True, slots=True)
class NewToken:
    """The only place where the token itself ever is."""

    row: ScriptTokenRow
    token: str = field(repr=False)


async def create(
    connection: Connection,
    name: str,
    role: Role,
    project_ids: Sequence[str] | None,
    expires_at: datetime | None,
    *,
    actor: str,
) -> NewToken:
    """A token with the rights of such a user; `project_ids` None: of all projects. Raises UserError."""
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UserError("A token needs a name of at most %(most)s characters.", about="name", most=_LONGEST_NAME)
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise UserError("The token would have expired already: choose a later date.", about="expires")
    await check_projects(connection, project_ids or ())
    token = SCRIPT_PREFIX + secrets.token_urlsafe(32)
    async with connection.transaction():
        row = await script_tokens.add(
            connection, name=name, token_hash=script_hash(token), hint=token[:_HINT], role=role,
            project_ids=project_ids, expires_at=expires_at, created_by=actor,
        )  # fmt: skip
        if row is None:
            raise UserError(
                "There is a token %(name)s already: revoke it, or choose another name.", about="name", name=name
            )
        await audit.record(
            connection, actor=actor, action="added", project_id=None, object=f"token {name}", after=_rights(row)
        )
    return NewToken(row, token)


async def revoke(connection: Connection, token_id: UUID, *, actor: str) -> ScriptTokenRow | None:
    """Refuse a token from this moment, in open streams too. None: there is none, or it is revoked already."""
    async with connection.transaction():
        row = await script_tokens.revoke(connection, token_id, actor)
        if row is not None:
            await audit.record(
                connection, actor=actor, action="revoked", project_id=None, object=f"token {row.name}",
                before=_rights(row),
            )  # fmt: skip
    return row


def _rights(row: ScriptTokenRow) -> dict[str, Any]:
    return {
        "role": row.role,
        "projects": None if row.project_ids is None else sorted(row.project_ids),
        "expires_at": None if row.expires_at is None else row.expires_at.astimezone(UTC).isoformat(),
    }
