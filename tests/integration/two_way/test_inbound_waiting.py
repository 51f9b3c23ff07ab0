"""CRM -> vms: orders that come before their articles and customers wait for them while a pull is under way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.protocol import Capabilities, Stream
from database.connection import Connection
from database.repositories import locks, runs, two_way_status
from database.repositories.runs import Counts
from sync.pull import pull_project
from tests.integration.two_way.inbound_world import apply, hook, land, letters, one, open_shop
from tests.support.shop_crm import ShopCrm, shop_article, shop_customer, shop_order
from tests.support.world import World

pytestmark = pytest.mark.anyio

POT = {"sku": "POT", "name": "Pot"}
UNKNOWN = "The article POT is unknown: add it to vms, or have the CRM's articles read."


class OrdersFirst(ShopCrm):
    """Its orders are pulled before what they need."""

    @property
    def capabilities(self) -> Capabilities:
        streams = (Stream("orders", is_incremental=True), Stream("customers", is_incremental=True), Stream("articles"))
        return Capabilities(streams=streams, credentials=("key",), rate_limit=(1000, 1.0))


@pytest.fixture(autouse=True)
async def shop(world: World) -> None:
    await open_shop(world)


@pytest.fixture
async def pull(world: World) -> AsyncIterator[tuple[Connection, int]]:
    """A pull of the project that is under way: who runs it, and its number."""
    async with locks.own_connection(world.pool) as holder:
        yield holder, await runs.start(holder, "shop", kind="pull", stream="orders", trigger="test")


async def waiting(world: World) -> dict[str, Any]:
    async with world.pool.connection() as connection:
        [row] = [row for row in await two_way_status.entities(connection, "shop") if row["entity"] == "order"]
    return row


async def make_due(world: World) -> None:
    await world.execute("update sync.inbound_queue set not_before = clock_timestamp()")


@pytest.mark.usefixtures("pull")
async def test_while_a_pull_goes_an_order_waits_for_its_article_and_its_customer(world: World) -> None:
    await land(world, "orders", shop_order("17", customer="7", items=[POT]), shop_order("18", status="strange"))
    applied = await apply(world)
    assert (applied.held, applied.failed, applied.made) == (1, 1, 0)
    assert [crm_id for _, crm_id, _, _ in await letters(world)] == ["18"]  # nothing that comes could help it
    status = await waiting(world)
    assert (status["inbound_waiting"], status["inbound_held"]) == (1, 1)
    assert status["inbound_held_reason"] == (
        f"The customer 7 of the order is not known: read it from the CRM, or see its own dead letter. {UNKNOWN}"
    )
    await land(world, "articles", shop_article("31", price="10", **POT))
    assert (await apply(world)).held == 1  # for the customer alone
    assert (await waiting(world))["inbound_held_reason"].startswith("The customer 7 of the order is not known")
    await land(world, "customers", shop_customer("7", name="Anna"))
    await apply(world)
    assert (await one(world, "select number from vms.orders"))["number"] == "TOY-17"
    assert len(await letters(world)) == 1
    assert (await waiting(world))["inbound_waiting"] == 0


async def test_once_the_pull_has_ended_an_unknown_article_is_a_dead_letter(
    world: World, pull: tuple[Connection, int]
) -> None:
    await land(world, "customers", shop_customer("7", name="Anna"))
    await land(world, "orders", shop_order("17", customer="7", items=[POT]))
    assert (await apply(world)).held == 1
    await runs.finish(pull[0], "shop", pull[1], Counts())
    await make_due(world)
    assert (await apply(world)).held == 1  # what the pull has landed may be on its way still
    await world.execute("update sync.runs set finished_at = finished_at - interval '11 s'")
    await make_due(world)
    applied = await apply(world)
    assert (applied.held, applied.failed) == (0, 1)
    assert await letters(world) == [("order", "17", "open", UNKNOWN)]
    assert (await waiting(world))["inbound_waiting"] == 0


async def test_a_pull_whose_process_died_keeps_nobody_waiting(world: World) -> None:
    async with locks.own_connection(world.pool) as holder:
        await runs.start(holder, "shop", kind="pull", stream="orders", trigger="test")
    await land(world, "customers", shop_customer("7", name="Anna"))
    await land(world, "orders", shop_order("17", customer="7", items=[POT]))
    assert (await apply(world)).failed == 1


async def test_a_first_pull_that_brings_orders_first_makes_no_dead_letter(world: World) -> None:
    world.crm = OrdersFirst()
    world.crm.put("articles", "31", price="10", **POT)
    world.crm.put("customers", "7", **json.loads(shop_customer("7", name="Anna")))
    for number in range(30):
        order = shop_order(str(number), number, customer="7", items=[POT, {"name": "Wrap"}])
        world.crm.put("orders", str(number), **json.loads(order))
    held: list[int] = []

    async def meanwhile(stream: str) -> None:
        """The relay is at it before each of the streams."""
        if stream != "orders":
            held.append((await apply(world)).held)

    world.crm.before_page = lambda stream, number: meanwhile(stream)
    await pull_project(world.pool, world.keyring, "shop", lookup=world.lookup)
    await apply(world)
    assert max(held) == 30
    assert await world.value("select count(*) from vms.orders") == 30
    assert await letters(world) == []
    assert await world.value("select count(*) from sync.alerts") == 0


async def test_what_is_told_of_an_order_that_waits_is_told_when_it_is_there(
    world: World, pull: tuple[Connection, int]
) -> None:
    await land(world, "orders", shop_order("17", customer="7", items=[POT], total="10"))
    await apply(world)
    told = "select payload from sync.stream_events where kind = 'order'"
    assert await world.rows(told) == []
    await land(world, "customers", shop_customer("7", name="Anna"))
    await land(world, "articles", shop_article("31", price="10", **POT))
    await apply(world)
    [event] = await world.rows(told)
    assert (event["payload"]["order_id"], event["payload"]["number"]) == ("17", "TOY-17")


async def test_an_order_that_is_never_read_whole_is_told_of_in_the_end(world: World) -> None:
    await hook(world, json.dumps({"id": "17", "status": "new", "updated_at": "2026-03-01T08:00:00+00:00"}))
    assert (await apply(world)).held == 1
    assert (await waiting(world))["inbound_held_reason"].startswith("Only a part of it is known so far")
    await make_due(world)
    assert (await apply(world)).held == 0
    [event] = await world.rows("select payload from sync.stream_events")
    assert (event["payload"]["order_id"], "changed" in event["payload"]) == ("17", False)
    assert (await waiting(world))["inbound_waiting"] == 0
    assert await letters(world) == []
