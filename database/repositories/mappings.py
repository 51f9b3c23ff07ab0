"""sync.mappings: an object of vms and the same object at the CRM, and what both last agreed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from database.connection import Connection

_COLUMNS = """
    mapping_id, project_id, entity_type, vms_entity_id, crm_entity_id, idempotency_key, agreed_vms, agreed_crm, ignored,
    overwritten, disputed, sync_status, error_message, last_synced_at
"""


def columns() -> str:
    """What a query selects to make a MappingRow of it."""
    return _COLUMNS


@dataclass(frozen=True, slots=True)
class MappingRow:
    mapping_id: int
    project_id: str
    entity_type: str
    vms_entity_id: int
    crm_entity_id: str | None
    """None: not there yet, as far as is known."""
    idempotency_key: UUID
    agreed_vms: dict[str, Any]
    agreed_crm: dict[str, Any]
    ignored: dict[str, str]
    """Field -> why the CRM cannot take it."""
    overwritten: dict[str, Any]
    """Field -> {was, at}: what our writes replaced at the CRM, until core has heard of them; `merge.Agreed` has it."""
    disputed: list[str]
    """Fields of its open conflict."""
    sync_status: str
    error_message: str | None
    last_synced_at: datetime | None


async def by_vms_id(
    connection: Connection, project_id: str, entity: str, ids: Sequence[int], *, for_update: bool = False
) -> dict[int, MappingRow]:
    """Those there are. `for_update` locks them, in one order for everybody."""
    rows = await _find(
        connection, "entity_type = %s and vms_entity_id = any(%s)", project_id, entity, list(ids), for_update=for_update
    )
    return {row.vms_entity_id: row for row in rows}


async def by_crm_id(
    connection: Connection, project_id: str, entity: str, ids: Sequence[str], *, for_update: bool = False
) -> dict[str, MappingRow]:
    """Those there are. `for_update` locks them, in one order for everybody."""
    rows = await _find(
        connection, "entity_type = %s and crm_entity_id = any(%s)", project_id, entity, list(ids), for_update=for_update
    )
    return {row.crm_entity_id: row for row in rows if row.crm_entity_id is not None}


async def by_key(
    connection: Connection, project_id: str, keys: Sequence[str], *, for_update: bool = False
) -> dict[str, MappingRow]:
    """By idempotency key, as the text given; texts that are no such keys are found nowhere."""
    texts: dict[UUID, list[str]] = {}
    for key in keys:
        try:
            texts.setdefault(UUID(key), []).append(key)
        except ValueError:
            continue  # a person may have typed anything there
    rows = await _find(connection, "idempotency_key = any(%s::uuid[])", project_id, list(texts), for_update=for_update)
    return {text: row for row in rows for text in texts[row.idempotency_key]}


async def _find(
    connection: Connection, condition: str, project_id: str, *values: Any, for_update: bool
) -> list[MappingRow]:
    cursor = await connection.execute(
        f"""
        select {_COLUMNS} from sync.mappings
        where project_id = %s and {condition}
        order by mapping_id {"for update" if for_update else ""}
        """,  # noqa: S608
        [project_id, *values],
    )
    return [MappingRow(**row) for row in await cursor.fetchall()]


async def ensure(
    connection: Connection, project_id: str, entity: str, vms_ids: Sequence[int], *, for_update: bool = True
) -> dict[int, MappingRow]:
    """The mappings of these objects of vms, new ones as pending, all locked until the transaction ends; or not, for
    who needs but their keys and ids."""
    await connection.execute(
        """
        insert into sync.mappings (project_id, entity_type, vms_entity_id)
        select %s, %s, id from unnest(%s::bigint[]) as i (id) order by id
        on conflict (project_id, entity_type, vms_entity_id) do nothing
        """,
        [project_id, entity, sorted(set(vms_ids))],
    )
    return await by_vms_id(connection, project_id, entity, vms_ids, for_update=for_update)


async def save_synced(
    connection: Connection,
    mapping: MappingRow,
    *,
    crm_id: str | None,
    agreed_vms: Mapping[str, Any],
    agreed_crm: Mapping[str, Any],
    direction: str,
    ignored: Mapping[str, str] | None = None,
    overwritten: Mapping[str, Any] | None = None,
) -> None:
    """Both sides are in step on what is agreed: outbound or inbound did it. `ignored`, `overwritten`: None keeps it."""
    await connection.execute(
        """
        update sync.mappings
        set crm_entity_id = coalesce(%(crm_id)s, crm_entity_id), agreed_vms = %(agreed_vms)s,
            agreed_crm = %(agreed_crm)s, ignored = coalesce(%(ignored)s, ignored),
            overwritten = coalesce(%(overwritten)s, overwritten), sync_status = 'synced', error_message = null,
            last_synced_at = clock_timestamp(), last_direction = %(direction)s, updated_at = clock_timestamp()
        where project_id = %(project)s and mapping_id = %(mapping)s
        """,
        {
            "project": mapping.project_id,
            "mapping": mapping.mapping_id,
            "crm_id": crm_id,
            "agreed_vms": Jsonb(agreed_vms),
            "agreed_crm": Jsonb(agreed_crm),
            "ignored": None if ignored is None else Jsonb(ignored),
            "overwritten": None if overwritten is None else Jsonb(overwritten),
            "direction": direction,
        },
    )


async def save_agreed(
    connection: Connection,
    mapping: MappingRow,
    agreed_vms: Mapping[str, Any],
    agreed_crm: Mapping[str, Any],
    overwritten: Mapping[str, Any] | None = None,
) -> None:
    """What is agreed on, of a mapping of which something waits still or is disputed. `overwritten` None: as it is."""
    await connection.execute(
        """
        update sync.mappings
        set agreed_vms = %s, agreed_crm = %s, overwritten = coalesce(%s, overwritten), updated_at = clock_timestamp()
        where project_id = %s and mapping_id = %s
        """,
        [
            Jsonb(agreed_vms), Jsonb(agreed_crm), None if overwritten is None else Jsonb(overwritten),
            mapping.project_id, mapping.mapping_id,
        ],
    )  # fmt: skip


async def save_disputed(connection: Connection, mapping: MappingRow, fields: Sequence[str]) -> None:
    """The fields that a person is to decide."""
    await connection.execute(
        "update sync.mappings set disputed = %s where project_id = %s and mapping_id = %s",
        [sorted(fields), mapping.project_id, mapping.mapping_id],
    )


async def save_status(
    connection: Connection, project_id: str, mapping_id: int, status: str, message: str | None = None
) -> None:
    """pending, or error with what is wrong."""
    await connection.execute(
        """
        update sync.mappings set sync_status = %s, error_message = %s, updated_at = clock_timestamp()
        where project_id = %s and mapping_id = %s
        """,
        [status, message, project_id, mapping_id],
    )


async def link(connection: Connection, project_id: str, entity: str, vms_id: int, crm_id: str) -> MappingRow | None:
    """The two are one and the same: a mapping without anything agreed yet, or the pending one of this object. None if
    either is linked with another object already."""
    cursor = await connection.execute(
        f"""
        insert into sync.mappings as stored (project_id, entity_type, vms_entity_id, crm_entity_id)
        select %(project)s, %(entity)s, %(vms_id)s, %(crm_id)s
        where not exists (
            select from sync.mappings as m
            where m.project_id = %(project)s and m.entity_type = %(entity)s and m.crm_entity_id = %(crm_id)s
                and m.vms_entity_id <> %(vms_id)s
        )
        on conflict (project_id, entity_type, vms_entity_id) do update
            set crm_entity_id = excluded.crm_entity_id, updated_at = clock_timestamp()
            where stored.crm_entity_id is null or stored.crm_entity_id = excluded.crm_entity_id
        returning {_COLUMNS}
        """,  # noqa: S608
        {"project": project_id, "entity": entity, "vms_id": vms_id, "crm_id": crm_id},
    )
    row = await cursor.fetchone()
    return None if row is None else MappingRow(**row)


async def add_synced(
    connection: Connection,
    project_id: str,
    entity: str,
    rows: Sequence[tuple[int, str, Mapping[str, Any], Mapping[str, Any]]],
) -> None:
    """Mappings of objects that inbound has just made in vms: (vms id, CRM id, agreed_vms, agreed_crm)."""
    if not rows:
        return
    await connection.execute(
        """
        insert into sync.mappings (
            project_id, entity_type, vms_entity_id, crm_entity_id, agreed_vms, agreed_crm, sync_status, last_synced_at,
            last_direction
        )
        select %s, %s, r.vms_id, r.crm_id, r.agreed_vms, r.agreed_crm, 'synced', clock_timestamp(), 'inbound'
        from jsonb_to_recordset(%s) as r (vms_id bigint, crm_id text, agreed_vms jsonb, agreed_crm jsonb)
        """,
        [
            project_id, entity,
            Jsonb([
                {"vms_id": vms_id, "crm_id": crm_id, "agreed_vms": dict(agreed_vms), "agreed_crm": dict(agreed_crm)}
                for vms_id, crm_id, agreed_vms, agreed_crm in rows
            ]),
        ],
    )  # fmt: skip
