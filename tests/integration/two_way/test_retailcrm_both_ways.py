"""vms and the simulated RetailCRM keep each other up to date: what goes there comes back as nothing new."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.registry import get
from connectors.retailcrm.simulator import SimulatorState, create_app
from database.repositories import credentials
from sync.normalise import drain
from sync.pull import pull_project
from sync.two_way import inbound
from tests.support.http_server import serve
from tests.support.vms_changes import send
from tests.support.world import World

pytestmark = pytest.mark.anyio

KEY = "right-key-0123456789"
VMS = """
insert into vms.customers (project_id, id, full_name, phone, email, segment)
    values ('shop', 5, 'Olena  Koval', '0671112233', 'O@example.com', 'vip');
insert into vms.articles (project_id, id, sku, name, price, stock)
    values ('shop', 7, 'CUP', 'A cup', 120.5, 3), ('shop', 8, 'MUG', 'A mug', 90, 1);
insert into vms.orders (project_id, id, customer_id, comment, discount, shipping_price)
    values ('shop', 17, 5, 'by noon', 7, 40);
insert into vms.order_items (project_id, order_id, article_id, quantity, discount) values ('shop', 17, 7, 3, 10);
insert into vms.payments (project_id, id, order_id, amount, status, method)
    values ('shop', 1, 17, 100, 'paid', 'card'), ('shop', 2, 17, 50, 'pending', null);
"""


@pytest.fixture
async def state(world: World) -> AsyncIterator[SimulatorState]:
    """An account with one offer, and the project `shop` of it."""
    state = SimulatorState(api_key=KEY, rate_limit=0)
    state.store.add_product("Cup of the shop's feed", 1, article="CUP", quantity=1)
    world.lookup = get  # type: ignore[method-assign]
    with serve(create_app(state)) as url:
        await world.add_project(
            crm="retailcrm", base_url=url, key="", vms={"inbound": True}, status_map={"delivering": "SHIPPED"},
            options={
                "store": "main", "segment_field": "segment", "payment_types": {"card": "bank-card"},
                "delivery_types": {"NP": "courier"},
            },
        )  # fmt: skip
        async with world.pool.connection() as connection, connection.transaction():
            await credentials.store(connection, world.keyring, "shop", {"api_key": KEY})
        await pull_project(world.pool, world.keyring, "shop", streams=["places", "status_groups", "statuses"])
        await drain(world.pool, "shop")
        yield state


async def hear(world: World) -> inbound.Applied:
    """What the CRM tells comes to vms."""
    await pull_project(world.pool, world.keyring, "shop")
    await drain(world.pool, "shop")
    return await inbound.apply_due(world.pool, lookup=get)


async def snapshot(world: World) -> dict[str, list[dict[str, Any]]]:
    tables = ("customers", "articles", "orders", "order_items", "payments", "shipments")
    return {table: await world.rows(f"select * from vms.{table} order by id") for table in tables}


def writes(state: SimulatorState) -> int:
    return state.requests.count("POST")


async def test_what_goes_to_retailcrm_comes_back_as_nothing_new(world: World, state: SimulatorState) -> None:
    for statement in VMS.strip().split(";\n"):
        await world.execute(statement.rstrip(";\n"))
    assert (await send(world)).failed == 0
    order = state.order_body(state.orders[1])
    assert (order["number"], order["managerComment"], order["discountManualAmount"]) == ("17", "by noon", 7)
    assert [payment["status"] for payment in order["payments"].values()] == ["paid", "not-paid"]
    assert state.customers[1]["customFields"] == {"segment": "vip"}
    assert state.store.offers[1001]["stores"][0]["quantity"] == 3
    why = await world.value(
        "select error_message from sync.mappings where vms_entity_id = 8 and entity_type = 'article'"
    )
    assert "no article 'MUG'" in why
    before, written = await snapshot(world), writes(state)
    for _ in range(2):
        await hear(world)
        await send(world)
        assert await snapshot(world) == before
        assert writes(state) == written
    assert state.written.twice == {}


async def test_both_sides_change_and_settle_in_one_round(world: World, state: SimulatorState) -> None:
    for statement in VMS.strip().split(";\n"):
        await world.execute(statement.rstrip(";\n"))
    await send(world)
    await hear(world)
    await world.execute("update vms.orders set status = 'CANCELLED' where id = 17")
    await world.execute(
        "insert into vms.shipments (project_id, order_id, carrier, tracking_number) values ('shop', 17, 'NP', 'T-1')"
    )
    await world.execute("update vms.payments set status = 'cancelled' where id = 2")
    await world.execute("update vms.articles set price = 130 where id = 7")
    state.update_order(1, managerComment="by six")
    state.update_customer(1, email="new@example.com")
    await hear(world)
    assert (await send(world)).failed == 0
    await hear(world)
    order = state.order_body(state.orders[1])
    assert (order["status"], order["managerComment"]) == ("cancel-other", "by six")
    assert (order["delivery"]["code"], order["delivery"]["data"]) == ("courier", {"trackNumber": "T-1"})
    assert order["payments"]["2"]["status"] == "canceled"
    assert state.store.offers[1001]["price"] == 130
    rows = await snapshot(world)
    assert (rows["orders"][0]["status"], rows["orders"][0]["comment"]) == ("CANCELLED", "by six")
    assert (rows["shipments"][0]["carrier"], rows["shipments"][0]["tracking_number"]) == ("NP", "T-1")
    assert rows["customers"][0]["email"] == "new@example.com"
    assert [row["status"] for row in rows["payments"]] == ["paid", "cancelled"]
    assert rows["articles"][0]["name"] == "A cup"  # the feed's name stays there, ours stays here
    written = writes(state)
    await hear(world)
    await send(world)
    assert (await snapshot(world), writes(state)) == (rows, written)
    assert await world.rows("select reason from sync.dead_letters") == []


async def test_an_order_that_is_born_at_retailcrm_comes_and_is_edited_by_its_id(
    world: World, state: SimulatorState
) -> None:
    customer = state.add_customer("Анна", "Ильина", phones=["+380671112233"], email="anna@example.com")
    offer = {"id": 1001, "article": "CUP", "name": "Cup of the shop's feed"}
    born = state.add_order(
        customer=customer, status="assembling", discountManualAmount=10,
        items=[{"offer": offer, "initialPrice": 120.5, "quantity": 3, "discountTotal": 2}],
        payments=[{"type": "bank-card", "amount": 100, "status": "paid"}],
        delivery={"code": "courier", "cost": 40, "data": {"trackNumber": "T-1"}, "address": {"text": "Майдан, 1"}},
    )  # fmt: skip
    await hear(world)
    rows = await snapshot(world)
    [order], [line], [payment], [shipment] = (rows[name] for name in ("orders", "order_items", "payments", "shipments"))
    assert (order["number"], order["status"], order["payment_status"]) == ("RETAILCRM-1", "PROCESSING", "part_paid")
    # 3 x 120.50 - 3 x 2 - 10 + 40
    assert (order["total"], order["discount"], line["discount"]) == (Decimal("385.50"), 10, 6)
    assert (payment["amount"], payment["method"], payment["status"]) == (100, "card", "paid")
    assert (shipment["carrier"], shipment["address"]) == ("NP", "Майдан, 1")
    await world.execute("update vms.orders set status = 'DELIVERED', comment = 'thanks' where number = 'RETAILCRM-1'")
    await send(world)
    assert (born["status"], born["managerComment"], born["number"]) == ("complete", "thanks", "1A")
    assert "externalId" not in born
    assert writes(state) == 1
