"""CRM -> vms: a whole account at once."""

from __future__ import annotations

import time

import pytest

from database.repositories import inbound_queue
from tests.integration.two_way.inbound_world import apply, land, open_shop, outbox
from tests.support.shop_crm import shop_article, shop_customer, shop_order
from tests.support.world import World

pytestmark = pytest.mark.anyio

ORDERS = 5000


async def test_five_thousand_orders_come_in_and_a_second_time_change_nothing(world: World) -> None:
    await open_shop(world)
    things = (shop_article(f"a{n}", sku=f"S{n}", name=f"Thing {n}", price="5") for n in range(20))
    await land(world, "articles", *things)
    await land(
        world, "customers", *(shop_customer(f"c{n}", name=f"Name {n}", phones=[f"+38050{n:07}"]) for n in range(2000))
    )
    orders = [
        shop_order(
            str(n), customer=f"c{n % 2000}", status=("new", "packed", "gone")[n % 3], currency="UAH",
            items=[{"sku": f"S{n % 20}", "name": f"Thing {n % 20}", "quantity": "2"}, {"name": "Wrap", "price": "1"}],
            payments=[{"id": f"p{n}", "amount": "21"}],
        )
        for n in range(ORDERS)
    ]  # fmt: skip
    await land(world, "orders", *orders)
    started = time.monotonic()
    applied = await apply(world)
    seconds = time.monotonic() - started
    assert (applied.made, applied.failed) == (20 + 2000 + 2 * ORDERS, 0)
    assert await world.value("select count(*) from vms.order_items where article_id is not null") == ORDERS
    assert await world.value("select count(*) from vms.orders where total = 21 and payment_status = 'paid'") == ORDERS
    assert await outbox(world) == 0
    print(f"{ORDERS} orders, {applied.objects} objects: {seconds:.1f} s")  # for who wants to know: pytest -s
    async with world.pool.connection() as connection, connection.transaction():
        await inbound_queue.enqueue(connection, "shop", {"order": [str(n) for n in range(ORDERS)]})
    again = await apply(world)
    assert (again.objects, again.made, again.changed, again.failed) == (ORDERS, 0, 0, 0)
