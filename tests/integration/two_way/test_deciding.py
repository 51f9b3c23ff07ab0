"""From a dispute to both sides having the same: conflicts and the comparison, with the flows that they wake."""

from __future__ import annotations

from typing import Any

import pytest
from sides import STATUS_MAP, add_customer

from sync.two_way import conflicts, inbound, outbound
from sync.two_way.consistency import check_project
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(world: World) -> World:
    await world.add_project(status_map=STATUS_MAP, vms={"inbound": True}, conflict_policy="manual")
    return world


async def settle(world: World) -> None:
    """Let both flows do what waits, until nothing does."""
    for _ in range(3):
        await outbound.send_due(world.pool, world.keyring, instance="test", lookup=world.lookup)
        await inbound.apply_due(world.pool, lookup=world.lookup)


async def dispute(world: World) -> int:
    """A customer whose note both sides have changed, and whom the comparison has found; the conflict's id."""
    await add_customer(world, "C-1", vms={"note": "ours"}, crm={"note": "theirs"}, note="before")
    world.crm.books.objects["customer"] = {"C-1": {"key": "", "note": "theirs"}}
    await check_project(world.pool, "shop", lookup=world.lookup)
    await settle(world)
    found: int = await world.value("select conflict_id from sync.conflicts where state = 'open'")
    return found


async def notes(world: World) -> tuple[Any, Any]:
    return await world.value("select note from vms.customers"), world.crm.books.objects["customer"]["C-1"]["note"]


async def test_until_somebody_decides_both_sides_stay_as_they_are(shop: World) -> None:
    await dispute(shop)
    for _ in range(2):
        await check_project(shop.pool, "shop", lookup=shop.lookup)
        await settle(shop)
    assert await notes(shop) == ("ours", "theirs")
    assert shop.crm.books.log == []
    assert await shop.value("select count(*) from sync.conflicts") == 1


@pytest.mark.parametrize(("side", "note"), [("vms", "ours"), ("crm", "theirs")])
async def test_once_it_is_decided_both_sides_have_the_winners_value_and_it_stays(
    shop: World, side: Any, note: str
) -> None:
    await conflicts.resolve(shop.pool, await dispute(shop), side, "anna")
    await settle(shop)
    assert await notes(shop) == (note, note)
    assert len(shop.crm.books.log) == (side == "vms")
    await shop.execute("update core.customers set note = %s, updated_at = now()", note)  # core hears of it
    found = {result.entity: result.found for result in await check_project(shop.pool, "shop", lookup=shop.lookup)}
    assert (found["customer"].compared, found["customer"].differing) == (1, 0)
    await settle(shop)
    assert await notes(shop) == (note, note)
    assert await shop.value("select count(*) from sync.conflicts where state = 'open'") == 0


async def test_the_comparison_brings_home_what_nobody_told_of(shop: World) -> None:
    await add_customer(shop, "C-1", vms={"note": "new here"})
    await add_customer(shop, "C-2", crm={"full_name": "Ihor"})
    shop.crm.books.objects["customer"] = {"C-1": {"key": ""}, "C-2": {"key": ""}}
    await check_project(shop.pool, "shop", lookup=shop.lookup)
    await settle(shop)
    assert shop.crm.books.objects["customer"]["C-1"]["note"] == "new here"
    assert await shop.value("select count(*) from vms.customers where full_name = 'Ihor'") == 1
    assert await shop.value("select count(*) from sync.outbox where state = 'waiting'") == 0
    assert await shop.value("select count(*) from sync.inbound_queue") == 0
