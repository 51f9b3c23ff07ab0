"""config.audit_log: who changed what in the settings, and from what to what. It never holds a secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class AuditEntry:
    audit_id: int
    at: datetime
    actor: str
    action: str
    """added, changed, removed, rotated, enabled, disabled ..."""
    project_id: str | None
    object: str
    """What was changed, as people name it: `sla group 2 normal`, `credential api_key`."""
    before: Any
    after: Any


async def record(
    connection: Connection,
    *,
    actor: str,
    action: str,
    project_id: str | None,
    object: str,  # noqa: A002
    before: Any = None,
    after: Any = None,
) -> int:
    """Write one entry; `before` and `after` are JSON values without secrets. Returns its id."""
    cursor = await connection.execute(
        """
        insert into config.audit_log (actor, action, project_id, object, before, after)
        values (%s, %s, %s, %s, %s, %s)
        returning audit_id
        """,
        [actor, action, project_id, object, _json(before), _json(after)],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["audit_id"])


async def is_recorded(
    connection: Connection,
    *,
    project_id: str,
    action: str,
    object: str,  # noqa: A002
    after: Any,
) -> bool:
    """Whether the log has an entry like that."""
    cursor = await connection.execute(
        """
        select 1 from config.audit_log
        where project_id = %s and action = %s and object = %s and after = %s
        limit 1
        """,
        [project_id, action, object, _json(after)],
    )
    return await cursor.fetchone() is not None


async def newest_of(connection: Connection, project_id: str, object: str) -> AuditEntry | None:  # noqa: A002
    """The newest entry about this object of a project."""
    cursor = await connection.execute(
        """
        select audit_id, at, actor, action, project_id, object, before, after
        from config.audit_log
        where project_id = %s and object = %s
        order by audit_id desc
        limit 1
        """,
        [project_id, object],
    )
    row = await cursor.fetchone()
    return None if row is None else AuditEntry(**row)


async def entry(connection: Connection, audit_id: int) -> AuditEntry | None:
    """The entry of that id."""
    cursor = await connection.execute(
        """
        select audit_id, at, actor, action, project_id, object, before, after
        from config.audit_log where audit_id = %s
        """,
        [audit_id],
    )
    row = await cursor.fetchone()
    return None if row is None else AuditEntry(**row)


async def written_with(connection: Connection, one: AuditEntry) -> list[AuditEntry]:
    """All entries about its project that one transaction of the same actor wrote, the oldest first."""
    cursor = await connection.execute(
        """
        select audit_id, at, actor, action, project_id, object, before, after
        from config.audit_log
        where project_id = %s and at = %s and actor = %s
        order by audit_id
        """,
        [one.project_id, one.at, one.actor],
    )
    return [AuditEntry(**row) for row in await cursor.fetchall()]


async def newest_id(connection: Connection, project_id: str) -> int:
    """Of the newest entry about a project; 0 if there is none."""
    cursor = await connection.execute(
        "select coalesce(max(audit_id), 0) as newest from config.audit_log where project_id = %s", [project_id]
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["newest"])


async def entries(
    connection: Connection, *, project_id: str | None = None, before_id: int | None = None, limit: int = 100
) -> list[AuditEntry]:
    """The newest entries first, of one project or of all; `before_id` is the last id of the page before."""
    cursor = await connection.execute(
        """
        select audit_id, at, actor, action, project_id, object, before, after
        from config.audit_log
        where (%(project)s::text is null or project_id = %(project)s)
            and (%(before)s::bigint is null or audit_id < %(before)s)
        order by audit_id desc
        limit %(limit)s
        """,
        {"project": project_id, "before": before_id, "limit": limit},
    )
    return [AuditEntry(**row) for row in await cursor.fetchall()]


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)
