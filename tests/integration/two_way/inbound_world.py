"""What tests of the inbound flow do again and again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from database.repositories import mappings
from sync.normalise import drain
from sync.two_way import inbound
from sync.two_way.inbound import Applied
from tests.support.shop_crm import ShopCrm
from tests.support.world import World

INBOUND = {"inbound": True}


async def open_shop(world: World, **values: Any) -> None:
    """The project `shop` at a CRM that writes, with what comes from there coming into vms."""
    world.crm = ShopCrm()
    await world.add_project(**{"vms": INBOUND, **values})


async def land(world: World, stream: str, *bodies: str, project_id: str = "shop") -> None:
    """Land whole records as a pull does, and bring them into core."""
    await put(world, stream, *bodies, project_id=project_id)
    await drain(world.pool, project_id, lookup=world.lookup)


async def put(world: World, stream: str, *bodies: str, project_id: str = "shop") -> None:
    """Land whole records, and leave them there."""
    async with world.pool.connection() as connection, connection.transaction():
        cursor = await connection.execute(
            """
            insert into raw.api_records (project_id, crm, stream, crm_id, content_hash, body)
            select %s, 'toy', %s, id, hash, body
            from unnest(%s::text[], %s::bytea[], %s::text[]) as r (id, hash, body) returning record_id
            """,
            [
                project_id, stream, [str(json.loads(body)["id"]) for body in bodies],
                [hashlib.sha256(body.encode()).digest() for body in bodies], list(bodies),
            ],
        )  # fmt: skip
        ids = [row["record_id"] for row in await cursor.fetchall()]
        await connection.execute(
            "insert into sync.raw_queue (project_id, source, raw_ids) values (%s, 'api', %s)", [project_id, ids]
        )


async def hook(world: World, *bodies: str) -> None:
    await world.webhook(*bodies)
    await drain(world.pool, "shop", lookup=world.lookup)


async def apply(world: World) -> Applied:
    return await inbound.apply_due(world.pool, lookup=world.lookup)


async def link(world: World, entity: str, vms_id: int, crm_id: str) -> None:
    async with world.pool.connection() as connection, connection.transaction():
        assert await mappings.link(connection, "shop", entity, vms_id, crm_id) is not None


async def one(world: World, query: str, *parameters: Any) -> dict[str, Any]:
    (row,) = await world.rows(query, *parameters)
    return row


async def letters(world: World) -> list[tuple[str, str, str, str]]:
    rows = await world.rows("select * from sync.dead_letters where source = 'vms' order by stream, crm_id")
    return [(row["stream"], row["crm_id"], row["state"], row["reason"]) for row in rows]


async def outbox(world: World) -> int:
    return int(await world.value("select count(*) from sync.outbox"))
