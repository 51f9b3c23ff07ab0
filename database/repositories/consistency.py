"""Walks over what both sides have, portion by portion, and sync.consistency_checks: what a comparison found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from database.connection import Connection
from database.repositories.mappings import MappingRow, columns

_CORE = {
    "order": ("core.orders", "order_id", "not c.is_deleted"),
    "customer": ("core.customers", "customer_id", "not c.is_deleted"),
    "article": ("core.offers", "offer_id", "c.sku is not null and not c.is_archived"),
    "payment": ("core.payments", "payment_id", "not c.is_deleted"),
}
_VMS = {"order": "vms.orders", "customer": "vms.customers", "article": "vms.articles", "payment": "vms.payments"}

_UNLINKED_AT_CRM = """not exists (
    select from sync.mappings as m
    where m.project_id = c.project_id and m.entity_type = %(entity)s and m.crm_entity_id = c.{key}
)"""
_UNLINKED_IN_VMS = """not exists (
    select from sync.mappings as m
    where m.project_id = v.project_id and m.entity_type = %(entity)s and m.vms_entity_id = v.id
        and m.crm_entity_id is not null
)"""


@dataclass(frozen=True, slots=True)
class CheckRow:
    project_id: str
    entity_type: str
    started_at: datetime
    finished_at: datetime | None
    compared: int
    differing: int
    healed: int
    disputed: int
    missing_at_crm: int
    missing_in_vms: int


async def linked(connection: Connection, project_id: str, entity: str, after: int, limit: int) -> list[MappingRow]:
    """The next mappings of objects that both sides have, or had, by id."""
    cursor = await connection.execute(
        f"""
        select {columns()} from sync.mappings
        where project_id = %s and entity_type = %s and mapping_id > %s and crm_entity_id is not null
        order by mapping_id
        limit %s
        """,  # noqa: S608
        [project_id, entity, after, limit],
    )
    return [MappingRow(**row) for row in await cursor.fetchall()]


async def only_at_crm(connection: Connection, project_id: str, entity: str, after: str, limit: int) -> list[str]:
    """The next objects of core that were never linked, by id; what is deleted is left out."""
    table, key, condition = _CORE[entity]
    cursor = await connection.execute(
        f"""
        select c.{key} as id from {table} as c
        where c.project_id = %(project)s and c.{key} > %(after)s and {condition} and {_UNLINKED_AT_CRM.format(key=key)}
        order by c.{key}
        limit %(limit)s
        """,  # noqa: S608
        {"project": project_id, "entity": entity, "after": after, "limit": limit},
    )
    return [row["id"] for row in await cursor.fetchall()]


async def only_in_vms(connection: Connection, project_id: str, entity: str, after: int, limit: int) -> list[int]:
    """The next objects of vms that are not at the CRM, by id."""
    cursor = await connection.execute(
        f"""
        select v.id from {_VMS[entity]} as v
        where v.project_id = %(project)s and v.id > %(after)s and {_UNLINKED_IN_VMS}
        order by v.id
        limit %(limit)s
        """,  # noqa: S608
        {"project": project_id, "entity": entity, "after": after, "limit": limit},
    )
    return [row["id"] for row in await cursor.fetchall()]


async def count_all(connection: Connection, project_id: str, entity: str) -> dict[str, int]:
    """How many objects each part of the walk has: linked, crm, vms."""
    table, key, condition = _CORE[entity]
    cursor = await connection.execute(
        f"""
        select
            (
                select count(*) from sync.mappings
                where project_id = %(project)s and entity_type = %(entity)s and crm_entity_id is not null
            ) as linked,
            (
                select count(*) from {table} as c
                where c.project_id = %(project)s and {condition} and {_UNLINKED_AT_CRM.format(key=key)}
            ) as crm,
            (select count(*) from {_VMS[entity]} as v where v.project_id = %(project)s and {_UNLINKED_IN_VMS}) as vms
        """,  # noqa: S608
        {"project": project_id, "entity": entity},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def start(connection: Connection, project_id: str, entity: str) -> int:
    """Note that a comparison begins; its id."""
    cursor = await connection.execute(
        "insert into sync.consistency_checks (project_id, entity_type) values (%s, %s) returning check_id",
        [project_id, entity],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["check_id"])


async def finish(connection: Connection, project_id: str, check_id: int, counts: Mapping[str, Any]) -> None:
    """Note what it found: compared, differing, healed, disputed, missing_at_crm, missing_in_vms."""
    await connection.execute(
        """
        update sync.consistency_checks
        set finished_at = clock_timestamp(), compared = %(compared)s, differing = %(differing)s, healed = %(healed)s,
            disputed = %(disputed)s, missing_at_crm = %(missing_at_crm)s, missing_in_vms = %(missing_in_vms)s
        where project_id = %(project)s and check_id = %(check)s
        """,
        {**counts, "project": project_id, "check": check_id},
    )


async def newest(connection: Connection, project_id: str) -> list[CheckRow]:
    """The last finished comparison of each kind of object."""
    cursor = await connection.execute(
        """
        select distinct on (entity_type) project_id, entity_type, started_at, finished_at, compared, differing, healed,
            disputed, missing_at_crm, missing_in_vms
        from sync.consistency_checks
        where project_id = %s and finished_at is not null
        order by entity_type, check_id desc
        """,
        [project_id],
    )
    return [CheckRow(**row) for row in await cursor.fetchall()]


async def newest_of(connection: Connection, project_ids: Sequence[str]) -> list[CheckRow]:
    """The last finished comparison of each kind of object of these projects."""
    cursor = await connection.execute(
        """
        select c.project_id, c.entity_type, c.started_at, c.finished_at, c.compared, c.differing, c.healed, c.disputed,
            c.missing_at_crm, c.missing_in_vms
        from unnest(%s::text[]) as p (project_id)
        cross join unnest(array['customer', 'article', 'order', 'payment']) with ordinality as e (entity, n)
        cross join lateral (
            select * from sync.consistency_checks as x
            where x.project_id = p.project_id and x.entity_type = e.entity and x.finished_at is not null
            order by x.check_id desc limit 1
        ) as c
        order by p.project_id, e.n
        """,
        [list(project_ids)],
    )
    return [CheckRow(**row) for row in await cursor.fetchall()]


async def history(connection: Connection, project_ids: Sequence[str], limit: int = 100) -> list[CheckRow]:
    """Finished comparisons of these projects, the newest first."""
    cursor = await connection.execute(
        """
        select c.project_id, c.entity_type, c.started_at, c.finished_at, c.compared, c.differing, c.healed, c.disputed,
            c.missing_at_crm, c.missing_in_vms
        from unnest(%(projects)s::text[]) as p (project_id)
        cross join lateral (
            select * from sync.consistency_checks as x
            where x.project_id = p.project_id and x.finished_at is not null
            order by x.check_id desc limit %(limit)s
        ) as c
        order by c.check_id desc
        limit %(limit)s
        """,
        {"projects": list(project_ids), "limit": limit},
    )
    return [CheckRow(**row) for row in await cursor.fetchall()]


async def two_way_projects(connection: Connection) -> list[str]:
    """Enabled projects of which anything is kept in step."""
    cursor = await connection.execute(
        """
        select p.project_id from config.projects as p
        where p.is_enabled and exists (select from sync.mappings as m where m.project_id = p.project_id)
        order by p.project_id
        """
    )
    return [row["project_id"] for row in await cursor.fetchall()]
