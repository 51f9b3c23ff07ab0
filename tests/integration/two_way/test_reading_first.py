"""What the CRM tells nobody of is read before it is overwritten."""

from __future__ import annotations

from typing import Any

import pytest

from connectors import registry
from connectors.keycrm.simulator import SimulatorState
from database.connection import open_pool
from sync.normalise import drain
from sync.pull import pull_project
from sync.two_way import inbound
from sync.two_way.outbound import send_due
from tests.integration.two_way.keycrm_sides import KEY, open_differences
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def send(world: World) -> Any:
    return await send_due(world.pool, world.keyring, instance="t", lookup=registry.get, project_ids=["print"])


async def order_of_both(world: World, base_url: str, **project: Any) -> int:
    """Order 17 of vms, which the CRM has as well; its id there."""
    await world.add_project(
        "print",
        crm="keycrm",
        base_url=base_url,
        key=KEY,
        options={"order_source_id": 1, "rate_limit": {"requests": 6000, "per_seconds": 60}},
        vms={"inbound": True},
        **project,
    )
    await pull_project(world.pool, world.keyring, "print")
    await world.execute(
        "insert into vms.customers (project_id, id, full_name, phone) values ('print', 5, 'Olena', '+380671112233')"
    )
    await world.execute("insert into vms.orders (project_id, id, customer_id) values ('print', 17, 5)")
    await send(world)
    return int(await world.value("select crm_entity_id from sync.mappings where entity_type = 'order'"))


async def settle(world: World) -> None:
    """Both flows, until neither has anything to do."""
    for _ in range(3):
        await drain(world.pool, "print", wait=True)
        await inbound.apply_due(world.pool)
        await send(world)


@pytest.mark.parametrize(
    ("policy", "at_crm", "in_vms", "conflicts"),
    [
        ("manual", "theirs", "ours", 1),
        ("vms", "ours", "ours", 0),
        ("crm", "theirs", "theirs", 0),
    ],
)
async def test_a_comment_that_the_crm_told_nobody_of_is_not_overwritten_unseen(
    world: World, state: SimulatorState, base_url: str, policy: str, at_crm: str, in_vms: str, conflicts: int
) -> None:
    crm_id = await order_of_both(world, base_url, conflict_policy=policy)
    state.update_order(crm_id, manager_comment="theirs")
    await world.execute("update vms.orders set comment = 'ours' where id = 17")
    await settle(world)
    assert state.orders.rows[crm_id].fields["manager_comment"] == at_crm
    assert await world.value("select comment from vms.orders where id = 17") == in_vms
    assert await world.value("select count(*) from sync.conflicts where resolved_at is null") == conflicts
    decided = await world.rows("select before from config.audit_log where object like 'conflict order%%'")
    assert [row["before"]["crm"] for row in decided] == ([] if conflicts else ["theirs"])


async def test_what_else_was_changed_at_the_crm_comes_in_and_ours_goes_out(
    world: World, state: SimulatorState, base_url: str
) -> None:
    crm_id = await order_of_both(world, base_url)
    state.update_order(crm_id, manager_comment="theirs")
    await world.execute("insert into vms.shipments (project_id, order_id, address) values ('print', 17, 'Lviv, 1')")
    await settle(world)
    assert await world.value("select comment from vms.orders where id = 17") == "theirs"
    assert state.orders.rows[crm_id].shipping["shipping_secondary_line"] == "Lviv, 1"
    assert await open_differences(world) == {}


async def test_a_status_is_written_without_reading_for_the_crm_tells_of_it(
    world: World, state: SimulatorState, base_url: str
) -> None:
    await order_of_both(world, base_url)
    before = len(state.requests.find(method="GET"))
    await world.execute("update vms.orders set status = 'SHIPPED' where id = 17")
    await send(world)
    assert len(state.requests.find(method="GET")) == before
    await world.execute("update vms.orders set comment = 'ours' where id = 17")
    await send(world)
    assert len(state.requests.find(method="GET")) == before + 1


async def test_many_are_read_side_by_side_with_fewer_connections_than_requests(
    world: World, state: SimulatorState, base_url: str, database_url: str
) -> None:
    await order_of_both(world, base_url)
    await world.execute(
        "insert into vms.orders (project_id, id, customer_id) select 'print', n, 5 from generate_series(101, 130) as n"
    )
    await send(world)
    await world.execute("update vms.orders set comment = 'ours' where id > 100")
    async with open_pool(database_url, max_size=2, wait_seconds=5) as pool:
        await send_due(pool, world.keyring, instance="t", lookup=registry.get, project_ids=["print"])
    comments = [order.fields["manager_comment"] for order in state.orders]
    assert comments.count("ours") == 30


async def test_an_order_that_cannot_be_read_is_tried_again_and_nothing_is_lost(
    world: World, state: SimulatorState, base_url: str
) -> None:
    crm_id = await order_of_both(world, base_url)
    state.faults.add("server_error", f"/v1/order/{crm_id}", method="GET", times=1)
    await world.execute("update vms.orders set comment = 'ours' where id = 17")
    await settle(world)
    assert state.orders.rows[crm_id].fields["manager_comment"] == "ours"
    assert await world.value("select count(*) from sync.dead_letters") == 0
