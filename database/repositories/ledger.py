"""sync.write_ledger: what the two-way sync wrote, where and when."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from database.connection import Connection


@dataclass(frozen=True, slots=True)
class Written:
    side: Literal["crm", "vms"]
    """Where it was written."""
    entity: str
    entity_id: str
    """On that side."""
    operation: str
    """create, update or delete"""
    values: Mapping[str, Any]
    """Field -> what was written, as JSON; only its hash is kept."""
    fingerprint: bytes | None = None
    """Of the object as the CRM has it since."""
    outbox_ids: Sequence[int] = ()


def fields_hash(values: Mapping[str, Any]) -> bytes:
    """SHA-256 of fields and values, whatever their order."""
    return hashlib.sha256(msgspec.json.encode(values, order="deterministic")).digest()


async def add(connection: Connection, project_id: str, written: Sequence[Written]) -> None:
    if not written:
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            insert into sync.write_ledger (
                project_id, side, entity_type, entity_id, operation, fields, fields_hash, fingerprint, outbox_ids
            )
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    project_id, item.side, item.entity, item.entity_id, item.operation, sorted(item.values),
                    fields_hash(item.values), item.fingerprint, list(item.outbox_ids),
                )
                for item in written
            ],
        )  # fmt: skip


async def echoes(
    connection: Connection, project_id: str, seen: Collection[tuple[str, str, bytes]]
) -> set[tuple[str, str, bytes]]:
    """Those of (entity, CRM id, fingerprint) that our own last writes left."""
    if not seen:
        return set()
    rows = list(seen)
    cursor = await connection.execute(
        """
        select distinct s.entity_type, s.entity_id, s.fingerprint
        from unnest(%s::text[], %s::text[], %s::bytea[]) as s (entity_type, entity_id, fingerprint)
        join sync.write_ledger as l on l.project_id = %s and l.side = 'crm' and l.entity_type = s.entity_type
            and l.entity_id = s.entity_id and l.fingerprint = s.fingerprint
        """,
        [[row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], project_id],
    )
    return {(row["entity_type"], row["entity_id"], bytes(row["fingerprint"])) for row in await cursor.fetchall()}


async def written_at(
    connection: Connection, project_id: str, side: Literal["crm", "vms"], entity: str, ids: Collection[str]
) -> dict[str, dict[str, datetime]]:
    """When we last wrote each field of these objects, by object and field; those never written are missing."""
    cursor = await connection.execute(
        """
        select l.entity_id, f.field, max(l.written_at) as written_at
        from sync.write_ledger as l, unnest(l.fields) as f (field)
        where l.project_id = %s and l.side = %s and l.entity_type = %s and l.entity_id = any(%s)
        group by l.entity_id, f.field
        """,
        [project_id, side, entity, list(ids)],
    )
    found: dict[str, dict[str, datetime]] = {}
    for row in await cursor.fetchall():
        found.setdefault(row["entity_id"], {})[row["field"]] = row["written_at"]
    return found


async def purge(connection: Connection, days: float, limit: int) -> int:
    """Forget at most so many of the oldest writes from longer ago; how many.

    A write at the CRM that core has not heard of yet stays, however old: nothing else tells that what core has is from
    before it.
    """
    cursor = await connection.execute(
        """
        with old as (
            select l.project_id, l.ledger_id
            from sync.write_ledger as l
            where l.written_at < clock_timestamp() - %s * interval '1 day' and (l.side = 'vms' or not (
                l.entity_type = 'order' and exists (
                    select from core.orders as c
                    where c.project_id = l.project_id and c.order_id = l.entity_id and c.updated_at <= l.written_at
                )
                or l.entity_type = 'customer' and exists (
                    select from core.customers as c
                    where c.project_id = l.project_id and c.customer_id = l.entity_id and c.updated_at <= l.written_at
                )
                or l.entity_type = 'article' and exists (
                    select from core.offers as c
                    left join core.products as p on p.project_id = c.project_id and p.product_id = c.product_id
                    where c.project_id = l.project_id and c.offer_id = l.entity_id
                        and greatest(c.updated_at, p.updated_at) <= l.written_at
                )
                or l.entity_type = 'payment' and exists (
                    select from core.payments as c
                    where c.project_id = l.project_id and c.payment_id = l.entity_id and c.updated_at <= l.written_at
                )
            ))
            order by l.written_at
            limit %s
            for update of l skip locked
        )
        delete from sync.write_ledger as l using old
        where l.project_id = old.project_id and l.ledger_id = old.ledger_id
        """,
        [days, limit],
    )
    return cursor.rowcount
