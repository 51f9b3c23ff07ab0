"""Who asks, and what they may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from database.repositories.script_tokens import ScriptTokenRow
from database.repositories.sessions import SessionRow
from database.repositories.users import Role

Kind = Literal["cookie", "bearer", "script"]
"""A browser, a program that has logged in as a user, a token for scripts."""
SCRIPT = "token:"
"""How a script's name begins where a user's login would stand; no login does."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user who is logged in, or a script with its token, with the rights of this moment."""

    user_id: int | None
    """None: a script."""
    login: str
    """`token:NAME` for a script."""
    role: Role
    project_ids: frozenset[str] | None
    """None: all."""
    session_id: UUID
    """A script's: the id of its token."""
    kind: Kind
    expires_at: datetime | None
    """When the session's newest token does; None: never."""

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    @property
    def sees_all(self) -> bool:
        """All projects, and what belongs to none: an admin who is not limited to some."""
        return self.is_admin and self.project_ids is None

    @property
    def actor(self) -> str:
        """For the audit log: `user:LOGIN` or `token:NAME`."""
        return self.login if self.kind == "script" else f"user:{self.login}"

    def may_see(self, project_id: str) -> bool:
        return self.project_ids is None or project_id in self.project_ids

    def visible(self, wanted: Collection[str] | None) -> frozenset[str] | None:
        """Those of the wanted projects that may be seen; None: of all projects, all."""
        if wanted is None:
            return self.project_ids
        return frozenset(wanted) if self.project_ids is None else self.project_ids & frozenset(wanted)


def identity_of(row: SessionRow) -> Identity:
    return Identity(
        user_id=row.user_id,
        login=row.login,
        role=row.role,
        project_ids=None if row.project_ids is None else frozenset(row.project_ids),
        session_id=row.session_id,
        kind=row.kind,
        expires_at=row.token_expires_at,
    )


def identity_of_script(row: ScriptTokenRow) -> Identity:
    return Identity(
        user_id=None,
        login=SCRIPT + row.name,
        role=row.role,
        project_ids=None if row.project_ids is None else frozenset(row.project_ids),
        session_id=row.token_id,
        kind="script",
        expires_at=row.expires_at,
    )
