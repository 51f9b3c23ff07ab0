"""core.transactions and their history, core.transaction_changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from database.connection import Connection
from database.repositories import locks

_FEED_LOCK = "transaction_changes"


async def times(connection: Connection, project_id: str, external_ids: Collection[str]) -> dict[str, datetime | None]:
    """`source_updated_at` of these transactions; those never seen are missing."""
    cursor = await connection.execute(
        """
        select t.external_id, t.source_updated_at
        from json_array_elements_text(%s::json) as wanted (external_id)
        join core.transactions as t on t.project_id = %s and t.external_id = wanted.external_id
        """,
        [msgspec.json.encode(list(external_ids)).decode(), project_id],
    )
    return {row["external_id"]: row["source_updated_at"] for row in await cursor.fetchall()}


async def reverse(connection: Connection, project_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set the state of known transactions; rows have external_id, state, source and source_updated_at."""
    if not rows:
        return
    await connection.execute(
        """
        update core.transactions as stored
        set state = incoming.state, source = incoming.source, source_updated_at = incoming.source_updated_at,
            updated_at = now()
        from json_to_recordset(%s::json) as incoming (
            external_id text, state text, source text, source_updated_at timestamptz
        )
        where stored.project_id = %s and stored.external_id = incoming.external_id
            and (stored.state, stored.source_updated_at)
                is distinct from (incoming.state, incoming.source_updated_at)
        """,
        [msgspec.json.encode(rows).decode(), project_id],
    )


async def note_changes(connection: Connection, project_id: str, external_ids: Collection[str] | None) -> int:
    """Add a version of each of these transactions (None: of all) that differs from its last one; how many.

    To be the last write of a transaction: it holds the lock that makes positions follow the order of commits.
    """
    if external_ids is not None and not external_ids:
        return 0
    await locks.wait_transaction(connection, _FEED_LOCK)
    cursor = await connection.execute(
        """
        insert into core.transaction_changes (
            project_id, external_id, crm, occurred_at, amount, currency, customer_id, phone_e164, email, description,
            order_id, is_medical, state
        )
        select
            t.project_id, t.external_id, t.crm, t.occurred_at, t.amount, t.currency, t.customer_id, t.phone_e164,
            t.email, t.description, t.order_id, t.is_medical, t.state
        from core.transactions as t
        left join lateral (
            select c.*
            from core.transaction_changes as c
            where c.project_id = t.project_id and c.external_id = t.external_id
            order by c.position desc
            limit 1
        ) as last on true
        where t.project_id = %(project)s
            and (%(ids)s::text[] is null or t.external_id = any(%(ids)s::text[]))
            and (
                last.position is null
                or (
                    t.occurred_at, t.amount, t.currency, t.customer_id, t.phone_e164, t.email, t.description,
                    t.order_id, t.is_medical, t.state
                ) is distinct from (
                    last.occurred_at, last.amount, last.currency, last.customer_id, last.phone_e164, last.email,
                    last.description, last.order_id, last.is_medical, last.state
                )
            )
        order by t.updated_at, t.external_id
        """,
        {"project": project_id, "ids": None if external_ids is None else list(external_ids)},
    )
    return cursor.rowcount


async def restore_vanished(connection: Connection, project_id: str) -> int:
    """After a full replay: transactions that were told of once and that raw no longer yields come back as reversed."""
    cursor = await connection.execute(
        """
        insert into core.transactions (
            project_id, external_id, crm, occurred_at, amount, currency, customer_id, phone_e164, email, description,
            order_id, is_medical, state, source
        )
        select distinct on (c.external_id)
            c.project_id, c.external_id, c.crm, c.occurred_at, c.amount, c.currency, c.customer_id, c.phone_e164,
            c.email, c.description, c.order_id, c.is_medical, 'reversed', 'replay'
        from core.transaction_changes as c
        where c.project_id = %s
            and not exists (
                select from core.transactions as t
                where t.project_id = c.project_id and t.external_id = c.external_id
            )
        order by c.external_id, c.position desc
        """,
        [project_id],
    )
    return cursor.rowcount
