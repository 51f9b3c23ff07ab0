"""Changes in vms for tests of the two-way sync, and what became of them."""

from __future__ import annotations

from typing import Any

from sync.two_way.outbound import send_due
from sync.two_way.outbound_project import Sent
from tests.support.world import World


async def send(world: World, *projects: str) -> Sent:
    return await send_due(
        world.pool, world.keyring, instance="test", lookup=world.lookup, project_ids=list(projects) or None
    )


async def insert(world: World, table: str, **values: Any) -> int:
    given = {"project_id": "shop", **values}
    names, marks = ", ".join(given), ", ".join(["%s"] * len(given))
    found = await world.value(f"insert into vms.{table} ({names}) values ({marks}) returning id", *given.values())
    return int(found)


async def states(world: World) -> list[str]:
    return [row["state"] for row in await world.rows("select state from sync.outbox order by outbox_id")]


async def mapping(world: World, entity: str, vms_id: int, project: str = "shop") -> dict[str, Any]:
    (row,) = await world.rows(
        "select * from sync.mappings where entity_type = %s and vms_entity_id = %s and project_id = %s",
        entity, vms_id, project,
    )  # fmt: skip
    return row


async def set_project(world: World, **values: Any) -> None:
    for name, value in values.items():
        await world.execute(f"update config.projects set {name} = %s", value)
