"""Each change that either side may make, one at a time, arrives on the other side: for both CRMs that are written to.

Out, by the triggers of vms; in, by webhooks (and the reading that they cause) or by pulls alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors import registry
from database.repositories import credentials
from sync.normalise import drain
from sync.pull import pull_project
from sync.requests import run_due
from sync.two_way import inbound
from tests.conformance.pushing import SeenCustomer, SeenLine
from tests.conformance.suite import SECRET
from tests.integration.two_way.accounts import Hints, TwoWayAccount, accounts
from tests.support.http_server import serve
from tests.support.vms_changes import send
from tests.support.world import World

pytestmark = pytest.mark.anyio

CUP = Decimal("120.50")


@pytest.fixture(params=["keycrm", "retailcrm"])
def crm(request: pytest.FixtureRequest) -> Iterator[TwoWayAccount]:
    adapter, state, app = accounts()[request.param]
    with serve(app) as url:
        yield adapter(state, url)


async def open_shop(world: World, crm: TwoWayAccount, **flags: bool) -> None:
    world.lookup = registry.get  # type: ignore[method-assign]
    account = crm.account()
    await world.add_project(
        crm=crm.crm, base_url=account.base_url, key="", options=dict(account.options), vms={"inbound": True, **flags}
    )
    async with world.pool.connection() as connection, connection.transaction():
        await credentials.store(connection, world.keyring, "shop", {"api_key": SECRET})
    await pull_project(world.pool, world.keyring, "shop")


class Outbound:
    """Changes of vms, each sent on its own."""

    def __init__(self, world: World, crm: TwoWayAccount) -> None:
        self.world, self.crm = world, crm

    async def change(self, *statements: str) -> None:
        before = self.crm.writes()
        async with self.world.pool.connection() as connection, connection.transaction():
            for statement in statements:
                await connection.execute(statement)  # type: ignore[arg-type]
        sent = await send(self.world)
        assert (sent.failed, sent.later, sent.skipped) == (0, 0, 0), await self.world.rows("select * from sync.outbox")
        assert sent.sent > 0
        assert self.crm.writes() > before

    async def id_of(self, entity: str, vms_id: int) -> str:
        found = await self.world.value(
            "select crm_entity_id from sync.mappings where entity_type = %s and vms_entity_id = %s", entity, vms_id
        )
        return str(found)


async def test_each_change_in_vms_arrives_at_the_crm(world: World, crm: TwoWayAccount) -> None:
    if not crm.creates_articles:
        crm.add_article("CUP", "Cup", Decimal(1), Decimal(1))
    await open_shop(world, crm)
    out = Outbound(world, crm)

    # A customer is registered, its contact data change, its segment changes.
    await out.change(
        "insert into vms.customers (project_id, id, full_name, phone, email)"
        " values ('shop', 5, 'Olena Koval', '+380671112233', 'o@example.com')"
    )
    customer = await out.id_of("customer", 5)
    assert crm.customer(customer) == SeenCustomer("Olena Koval", "+380671112233", "o@example.com")
    await out.change("update vms.customers set phone = '+380501234567', email = 'new@example.com'")
    assert crm.customer(customer) == SeenCustomer("Olena Koval", "+380501234567", "new@example.com")
    assert crm.segment(customer) is None
    await out.change("update vms.customers set segment = 'vip'")
    assert crm.segment(customer) == "vip"

    # An article is added, its stock changes, its price changes.
    await out.change(
        "insert into vms.articles (project_id, id, sku, name, price, stock) values ('shop', 7, 'CUP', 'Cup', 120.5, 4)"
    )
    article = await out.id_of("article", 7)
    assert crm.articles() == [article]
    seen = crm.article(article)
    assert (seen.sku, seen.name, seen.price, seen.stock) == ("CUP", "Cup", CUP, 4)
    await out.change("update vms.articles set stock = 9")
    assert (crm.article(article).price, crm.article(article).stock) == (CUP, 9)
    await out.change("update vms.articles set price = 130")
    assert (crm.article(article).price, crm.article(article).stock) == (130, 9)

    # An order is created, its status changes.
    await out.change(
        "insert into vms.orders (project_id, id, customer_id, comment) values ('shop', 17, 5, 'by noon')",
        "insert into vms.order_items (project_id, order_id, article_id, quantity) values ('shop', 17, 7, 3)",
    )
    order = await out.id_of("order", 17)
    assert crm.orders() == [order]
    made = crm.order(order)
    assert (made.status, made.comment, made.customer_id) == (crm.status("PENDING"), "by noon", customer)
    assert made.lines == {SeenLine("CUP", "Cup", Decimal(3), Decimal(130), Decimal(0))}
    await out.change("update vms.orders set status = 'DELIVERED'")
    assert crm.order(order).status == crm.status("DELIVERED")

    # A payment is added, and changes.
    await out.change("insert into vms.payments (project_id, order_id, amount, method) values ('shop', 17, 100, 'card')")
    assert crm.order(order).payments == ((Decimal(100), "pending"),)
    await out.change("update vms.payments set status = 'paid'")
    assert crm.order(order).payments == ((Decimal(100), "paid"),)

    # A tracking number and the delivery are added.
    await out.change(
        "insert into vms.shipments (project_id, order_id, carrier, tracking_number, recipient, address)"
        " values ('shop', 17, 'NP', 'T-1', 'Ivan Koval', 'Kyiv, Khreshchatyk 1')"
    )
    sent = crm.order(order)
    assert (sent.tracking_number, sent.recipient) == ("T-1", "Ivan Koval")

    # What was sent is no change when the CRM tells of it.
    writes, rows = crm.writes(), await vms_rows(world)
    await hear(world, crm, ())
    await pull_project(world.pool, world.keyring, "shop")
    await drain(world.pool, "shop")
    assert (await inbound.apply_due(world.pool, lookup=registry.get)).failed == 0
    await send(world)
    assert (crm.writes(), await vms_rows(world)) == (writes, rows)
    assert await world.rows("select reason from sync.dead_letters") == []


@pytest.mark.parametrize("is_asked_for", [True, False])
async def test_earlier_orders_of_a_newly_linked_customer_follow_if_the_project_asks(
    world: World, crm: TwoWayAccount, is_asked_for: bool
) -> None:
    await open_shop(world, crm, earlier_orders=is_asked_for)
    async with world.pool.connection() as connection, connection.transaction():
        await connection.execute("select set_config('crm_elt.origin', 'import', true)")  # as before the sync
        await connection.execute(
            "insert into vms.customers (project_id, id, full_name, phone) values ('shop', 5, 'Olena', '+380671112233')"
        )
        for number in (1, 2):
            await connection.execute(
                "insert into vms.orders (project_id, id, customer_id) values ('shop', %s, 5)", [number]
            )
            await connection.execute(
                "insert into vms.order_items (project_id, order_id, name, price) values ('shop', %s, 'Wrap', 50)",
                [number],
            )
        await connection.execute("insert into vms.payments (project_id, order_id, amount) values ('shop', 1, 20)")
    assert (await send(world)).sent == 0
    await world.execute("update vms.customers set note = 'regular'")
    for _ in range(2):
        assert (await send(world)).failed == 0
    [customer] = crm.customers()
    if not is_asked_for:
        assert crm.orders() == []
        return
    orders = [crm.order(crm_id) for crm_id in crm.orders()]
    assert [order.customer_id for order in orders] == [customer, customer]
    assert sorted(order.payments for order in orders) == [(), ((Decimal(20), "pending"),)]


async def hear(world: World, crm: TwoWayAccount, hints: Hints) -> None:
    """Webhooks that the CRM has sent, and these, come into vms."""
    bodies = [crm.stored(request) for request in crm.webhooks()]
    bodies += [msgspec.json.encode(hint).decode() for hint in hints or ()]
    if bodies:
        await world.webhook(*bodies, crm=crm.crm)
    await drain(world.pool, "shop")
    await run_due(world.pool, world.keyring)
    assert (await inbound.apply_due(world.pool, lookup=registry.get)).failed == 0


async def vms_rows(world: World) -> dict[str, list[dict[str, Any]]]:
    tables = ("customers", "articles", "orders", "order_items", "payments", "shipments")
    return {table: await world.rows(f"select * from vms.{table} order by id") for table in tables}


@pytest.mark.parametrize("way", ["webhooks", "pulls"])
async def test_each_change_at_the_crm_arrives_in_vms(world: World, crm: TwoWayAccount, way: str) -> None:
    offer = crm.add_article("CUP", "Cup", CUP, Decimal(4))
    await open_shop(world, crm)
    await inbound.apply_due(world.pool, lookup=registry.get)

    async def change(hints: Hints, query: str, *expected: Any) -> None:
        """`query` gives one row, which is as expected after the change, and was not before."""
        assert await row(query) != expected
        if way == "webhooks" and hints is not None:
            await hear(world, crm, hints)
        else:
            await pull_project(world.pool, world.keyring, "shop")
            await drain(world.pool, "shop")
            assert (await inbound.apply_due(world.pool, lookup=registry.get)).failed == 0
        assert await row(query) == expected

    async def row(query: str) -> tuple[Any, ...] | None:
        rows = await world.rows(query)
        assert len(rows) < 2
        return tuple(rows[0].values()) if rows else None

    # A buyer is created.
    customer, hints = crm.make_customer("Олена", "+380671112233")
    await change(hints, "select full_name, phone from vms.customers", "Олена", "+380671112233")
    # An order is created, updated, its status changes.
    order, hints = crm.make_order(customer, "CUP", 2)
    number = f"{crm.crm.upper()}-{order}"
    await change(
        hints,
        """
        select o.number, o.status, o.total, c.full_name, i.article_id is not null, i.quantity, i.price
        from vms.orders as o
        join vms.customers as c on c.id = o.customer_id
        join vms.order_items as i on i.order_id = o.id
        """,
        number, "PENDING", 2 * CUP, "Олена", True, 2, CUP,
    )  # fmt: skip
    await change(crm.comment(order, "by noon"), "select comment from vms.orders", "by noon")
    crm.change_status(order, crm.status("PROCESSING"))
    await change((), "select status from vms.orders", "PROCESSING")
    # A payment is created, and changes.
    payment, hints = crm.make_payment(order, 100)
    await change(hints, "select amount, status from vms.payments", 100, "pending")
    hints = crm.pay(order, payment)
    await change(
        hints,
        "select p.status, o.payment_status from vms.payments as p join vms.orders as o on o.id = p.order_id",
        "paid", "part_paid",
    )  # fmt: skip
    # The buyer is updated.
    await change(crm.rename_customer(customer, "Олена Коваль"), "select full_name from vms.customers", "Олена Коваль")
    # Product details.
    await change(crm.set_stock(offer, 11), "select stock from vms.articles", 11)
    await change(crm.describe(offer, "Mug", 130), "select name, price, stock from vms.articles", "Mug", 130, 11)
    # The order is cancelled.
    crm.change_status(order, crm.status("CANCELLED"))
    await change((), "select status, comment from vms.orders", "CANCELLED", "by noon")

    # None of it went back.
    await send(world)
    assert crm.writes() == 0
    assert await world.rows("select * from sync.outbox") == []
    assert await world.rows("select reason from sync.dead_letters") == []
