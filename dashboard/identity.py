"""Who asks, and what they may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from database.repositories.sessions import Kind, SessionRow
from database.repositories.users import Role


@dataclass(frozen=True, slots=True)
class Identity:
    """A user who is logged in, with the rights of this moment."""

    user_id: int
    login: str
    role: Role
    project_ids: frozenset[str] | None
    """None: all."""
    session_id: UUID
    kind: Kind
    expires_at: datetime
    """When the session's newest token does."""

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

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
