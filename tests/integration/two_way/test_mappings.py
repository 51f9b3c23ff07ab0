"""Mappings are found by the keys that we gave the CRM."""

from __future__ import annotations

import pytest

from database.connection import Connection
from database.repositories import mappings
from tests.support.world import World

pytestmark = pytest.mark.anyio
OBJECTS = 2000


async def rows_read(connection: Connection) -> int:
    """Rows of sync.mappings that this transaction has looked at, however it came to them."""
    cursor = await connection.execute(
        "select seq_tup_read + coalesce(idx_tup_fetch, 0) as read from pg_stat_xact_user_tables"
        " where relid = 'sync.mappings'::regclass"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["read"])


async def test_only_the_rows_of_the_keys_asked_for_are_read(world: World) -> None:
    await world.execute(
        "insert into sync.mappings (project_id, entity_type, vms_entity_id)"
        " select 'shop', 'order', n from generate_series(1, %s) as n",
        OBJECTS,
    )
    await world.execute("analyze sync.mappings")
    rows = await world.rows(
        "select idempotency_key::text as key, vms_entity_id from sync.mappings where vms_entity_id in (7, 1900)"
    )
    wanted = {row["key"]: row["vms_entity_id"] for row in rows}
    async with world.pool.connection() as connection, connection.transaction():
        before = await rows_read(connection)
        found = await mappings.by_key(connection, "shop", [*wanted, "no key at all", "KEYCRM-17"], for_update=True)
        assert await rows_read(connection) - before <= 2 * len(wanted)  # once to find it, once to lock it
    assert {key: mapping.vms_entity_id for key, mapping in found.items()} == wanted


async def test_a_key_is_found_however_it_is_written(world: World) -> None:
    await world.execute(
        "insert into sync.mappings (project_id, entity_type, vms_entity_id, idempotency_key)"
        " values ('shop', 'order', 1, '7e0c5d8a-1111-4222-8333-444455556666')"
    )
    written = "7E0C5D8A-1111-4222-8333-444455556666"
    async with world.pool.connection() as connection:
        found = await mappings.by_key(connection, "shop", [written])
    assert found[written].vms_entity_id == 1
