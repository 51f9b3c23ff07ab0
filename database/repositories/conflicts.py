"""sync.conflicts: fields of an object that both sides changed, for a person to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from database.connection import Connection

_COLUMNS = """
    conflict_id, project_id, entity_type, vms_entity_id, crm_entity_id, fields, state, resolution, opened_at,
    resolved_at, resolved_by
"""


@dataclass(frozen=True, slots=True)
class ConflictRow:
    conflict_id: int
    project_id: str
    entity_type: str
    vms_entity_id: int
    crm_entity_id: str
    fields: dict[str, dict[str, Any]]
    """Field -> vms, crm (in the words of vms), crm_own (in the CRM's), agreed_vms, agreed_crm, vms_changed_at,
    crm_changed_at. Of an open one those that are to be decided still."""
    state: str
    """open or resolved"""
    resolution: dict[str, str] | None
    """Field -> vms or crm, of those decided."""
    opened_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None


async def open_of(
    connection: Connection, project_id: str, entity: str, vms_ids: Sequence[int]
) -> dict[int, ConflictRow]:
    """The open conflict of each of these objects of vms that has one."""
    cursor = await connection.execute(
        f"""
        select {_COLUMNS} from sync.conflicts
        where project_id = %s and entity_type = %s and vms_entity_id = any(%s) and state = 'open'
        """,  # noqa: S608
        [project_id, entity, list(vms_ids)],
    )
    return {row["vms_entity_id"]: ConflictRow(**row) for row in await cursor.fetchall()}


async def save_open(
    connection: Connection, project_id: str, entity: str, vms_id: int, crm_id: str, fields: Mapping[str, Any]
) -> tuple[int, bool]:
    """Open the object's conflict or bring the open one up to date; its id, and whether it is new."""
    cursor = await connection.execute(
        """
        insert into sync.conflicts (project_id, entity_type, vms_entity_id, crm_entity_id, fields)
        values (%s, %s, %s, %s, %s)
        on conflict (project_id, entity_type, vms_entity_id) where state = 'open'
        do update set crm_entity_id = excluded.crm_entity_id, fields = excluded.fields
        returning conflict_id, (xmax = 0) as is_new
        """,
        [project_id, entity, vms_id, crm_id, Jsonb(dict(fields))],
    )
    row = await cursor.fetchone()
    assert row is not None
    return row["conflict_id"], row["is_new"]


async def save_decided(
    connection: Connection, conflict: ConflictRow, left: Mapping[str, Any], resolution: Mapping[str, str]
) -> None:
    """Some of its fields are decided, others are left."""
    await connection.execute(
        "update sync.conflicts set fields = %s, resolution = %s where project_id = %s and conflict_id = %s",
        [Jsonb(dict(left)), Jsonb(dict(resolution)), conflict.project_id, conflict.conflict_id],
    )


async def close(connection: Connection, conflict: ConflictRow, resolution: Mapping[str, str], resolved_by: str) -> None:
    """Nothing of it is left to decide. Its fields stay as they were, for whoever asks later."""
    await connection.execute(
        """
        update sync.conflicts
        set state = 'resolved', resolution = %s, resolved_at = clock_timestamp(), resolved_by = %s
        where project_id = %s and conflict_id = %s
        """,
        [Jsonb(dict(resolution)), resolved_by, conflict.project_id, conflict.conflict_id],
    )


async def get(connection: Connection, conflict_id: int, *, for_update: bool = False) -> ConflictRow | None:
    cursor = await connection.execute(
        f"select {_COLUMNS} from sync.conflicts where conflict_id = %s {'for update' if for_update else ''}",  # noqa: S608
        [conflict_id],
    )
    row = await cursor.fetchone()
    return None if row is None else ConflictRow(**row)


async def newest(
    connection: Connection,
    *,
    project_ids: Sequence[str] | None = None,
    state: str | None = "open",
    entity: str | None = None,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int = 100,
) -> list[ConflictRow]:
    """The newest first, of these projects or of all; `before_id` is the last id of the page before, `after_id` the
    first of the page after."""
    ascending = after_id is not None
    cursor = await connection.execute(
        f"""
        select {_COLUMNS} from sync.conflicts
        where (%(projects)s::text[] is null or project_id = any(%(projects)s))
            and (%(state)s::text is null or state = %(state)s)
            and (%(entity)s::text is null or entity_type = %(entity)s)
            and (%(before)s::bigint is null or conflict_id < %(before)s)
            and (%(after)s::bigint is null or conflict_id > %(after)s)
        order by conflict_id {"asc" if ascending else "desc"}
        limit %(limit)s
        """,  # noqa: S608
        {
            "projects": None if project_ids is None else list(project_ids),
            "state": state,
            "entity": entity,
            "before": before_id,
            "after": after_id,
            "limit": limit,
        },
    )
    rows = [ConflictRow(**row) for row in await cursor.fetchall()]
    return rows[::-1] if ascending else rows
