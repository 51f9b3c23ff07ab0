"""Both sides of objects, written as the flows would have left them."""

from __future__ import annotations

from typing import Any

from database.repositories import mappings
from tests.support.world import World

STATUS_MAP = {"1": "PENDING", "2": "SHIPPED", "3": "DELIVERED"}


async def add_statuses(world: World, project_id: str = "shop") -> None:
    await world.execute(
        """
        insert into core.statuses (project_id, status_id, name)
        select %s, id, 'Status ' || id from unnest(array['1', '2', '3', '9']) as s (id)
        """,
        project_id,
    )


async def add_customer(
    world: World, crm_id: str, *, vms: dict[str, Any] | None = None, crm: dict[str, Any] | None = None, **agreed: Any
) -> int:
    """A linked customer that both sides agree on, with what each side has changed since; its vms id."""
    both = {"full_name": "Olena", "phone": None, "email": None, "note": None, **agreed}
    ours, theirs = {**both, **(vms or {})}, {**both, **(crm or {})}
    vms_id: int = await world.value(
        "insert into vms.customers (project_id, full_name, note) values ('shop', %s, %s) returning id",
        ours["full_name"], ours["note"],
    )  # fmt: skip
    await world.execute("delete from sync.outbox")
    await world.execute(
        """
        insert into core.customers (project_id, customer_id, full_name, note, source_created_at, source_updated_at)
        values ('shop', %s, %s, %s, now(), now())
        """,
        crm_id, theirs["full_name"], theirs["note"],
    )  # fmt: skip
    await link(world, "customer", vms_id, crm_id, {**both, "segment": None}, both)
    return vms_id


async def add_order(world: World, crm_id: str, *, status: str, crm_status: str, agreed: tuple[str, str]) -> int:
    """A linked order of which the CRM tells the status alone; its vms id."""
    vms_id: int = await world.value(
        "insert into vms.orders (project_id, status) values ('shop', %s) returning id", status
    )
    await world.execute("delete from sync.outbox")
    await world.execute(
        "insert into core.orders (project_id, order_id, status_id, source_updated_at) values ('shop', %s, %s, now())",
        crm_id, crm_status,
    )  # fmt: skip
    fields: dict[str, Any] = {"discount": "0.00", "shipping_price": "0.00", "items": [], "customer": None}
    names = ("comment", "carrier", "tracking_number", "recipient", "phone", "address")
    ours = {**fields, **dict.fromkeys(names), "status": agreed[0]}
    await link(world, "order", vms_id, crm_id, ours, {"status": agreed[1]})
    return vms_id


async def link(world: World, entity: str, vms_id: int, crm_id: str, vms: dict[str, Any], crm: dict[str, Any]) -> None:
    async with world.pool.connection() as connection:
        mapping = await mappings.link(connection, "shop", entity, vms_id, crm_id)
        assert mapping is not None
        await mappings.save_synced(
            connection, mapping, crm_id=crm_id, agreed_vms=vms, agreed_crm=crm, direction="outbound"
        )


async def woken(world: World) -> tuple[list[tuple[str, int]], list[tuple[str, str]]]:
    """What waits in the outbox and in the inbound queue."""
    out = await world.rows("select entity_type, vms_entity_id from sync.outbox where state = 'waiting' order by 1, 2")
    into = await world.rows("select entity_type, crm_entity_id from sync.inbound_queue order by 1, 2")
    return [(r["entity_type"], r["vms_entity_id"]) for r in out], [(r["entity_type"], r["crm_entity_id"]) for r in into]
