"""What of the audit log somebody asks for and may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from dashboard.identity import Identity
from database.connection import Connection
from database.repositories import audit
from database.repositories.audit import AuditEntry, Search

PAGE = 50


@dataclass(frozen=True, slots=True)
class AuditPage:
    entries: list[AuditEntry]
    next: str | None
    """Cursor of the page after this one."""


def scope(
    identity: Identity, wanted: Collection[str] | None, *, actor: str | None = None, action: str | None = None,
    since: datetime | None = None, until: datetime | None = None,
) -> Search:  # fmt: skip
    """Entries of the wanted projects that may be seen; those of no project are for admins who asked for none."""
    visible = identity.visible(wanted)
    return Search(
        project_ids=None if visible is None else sorted(visible),
        with_global=wanted is None and identity.sees_all,
        actor=actor or None, action=action or None, since=since, until=until,
    )  # fmt: skip


async def read_page(connection: Connection, search: Search, before_id: int | None, limit: int = PAGE) -> AuditPage:
    found = await audit.search(connection, search, before_id=before_id, limit=limit + 1)
    shown = found[:limit]
    return AuditPage(shown, str(shown[-1].audit_id) if len(found) > limit else None)
