"""CRM -> vms from the simulated KeyCRM and RetailCRM: their pulls, their webhooks, the relay in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.keycrm import simulator as keycrm
from connectors.protocol import Vocabulary
from connectors.registry import get
from connectors.retailcrm import simulator as retailcrm
from database.repositories import credentials
from sync.normalise import drain
from sync.pull import pull_project
from sync.requests import run_due
from sync.two_way import inbound
from tests.conformance.suite import Clock
from tests.support.http_server import serve
from tests.support.relaying import running_relay, until
from tests.support.world import World

pytestmark = pytest.mark.anyio

KEY = "right-key-0123456789"
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
KEYCRM_WORDS = {
    "new": "PENDING", "approved": "CONFIRMED", "transferred_to_delivery": "SHIPPED", "completed": "DELIVERED",
    "canceled": "CANCELLED",
}  # fmt: skip


class Key:
    """A KeyCRM account with one order, and a project of it."""

    def __init__(self, url: str, state: keycrm.SimulatorState) -> None:
        self.url, self.state = f"{url}/v1", state
        state.webhooks.add_target("http://127.0.0.1:9/")  # nobody listens: what it sends is read from its log
        state.catalog.add_product("Cup", sku="CUP", price=120.5, purchased_price=60, offer_id=31)
        state.catalog.set_stock(31, 7)
        self.buyer = state.add_buyer("Олена", phones=["+380501112233"], emails=["o@example.com"], at=START)
        self.order = state.add_order(
            buyer=self.buyer, at=START, shipping_price=60, manager_comment="by noon",
            products=[{"name": "Cup", "sku": "CUP", "price": 120.5, "quantity": 2, "discount_amount": 10}],
            payments=[{"amount": 100, "status": "paid", "payment_date": "2026-03-02 08:30:00"}],
            shipping={"recipient_full_name": "Олена", "shipping_address_city": "Київ"},
        )  # fmt: skip

    async def open(self, world: World) -> None:
        world.lookup = get  # type: ignore[method-assign]
        await world.add_project(
            "key", crm="keycrm", base_url=self.url, key=KEY, vms={"inbound": True}, status_map=KEYCRM_WORDS
        )
        await pull_project(world.pool, world.keyring, "key")

    def sent(self) -> list[str]:
        """The bodies of the webhooks since the last time."""
        bodies = [json.dumps(delivery.payload) for delivery in self.state.webhooks.deliveries()]
        self.state.webhooks.clear()
        return bodies


PAYMENTS = {"paid": "paid", "not_paid": "pending", "not-paid": "pending", "canceled": "cancelled"}


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What payments' statuses mean, also where a connector does not write yet and so has no words of its own."""
    for crm in ("keycrm", "retailcrm"):
        if not hasattr(get(crm), "vocabulary"):
            monkeypatch.setattr(get(crm), "vocabulary", Vocabulary(payment_statuses=PAYMENTS), raising=False)


@pytest.fixture
def key() -> Iterator[Key]:
    state = keycrm.SimulatorState(api_key=KEY, clock=lambda: START + timedelta(days=2), rate_limit=0)
    with serve(keycrm.create_app(state)) as url:
        yield Key(url, state)


async def one(world: World, query: str) -> tuple[Any, ...]:
    (row,) = await world.rows(query)
    return tuple(row.values())


async def test_what_keycrm_has_is_in_vms_after_a_pull(world: World, key: Key) -> None:
    await key.open(world)
    await inbound.apply_due(world.pool)
    assert await one(world, "select full_name, phone, email from vms.customers") == (
        "Олена", "+380501112233", "o@example.com",
    )  # fmt: skip
    assert await one(world, "select sku, name, price, purchased_price, stock from vms.articles") == (
        "CUP", "Cup", Decimal("120.50"), Decimal(60), Decimal(7),
    )  # fmt: skip
    assert await one(
        world, "select number, status, total, discount, shipping_price, comment, payment_status from vms.orders"
    ) == ("KEYCRM-1", "PENDING", Decimal(281), Decimal(0), Decimal(60), "by noon", "part_paid")  # 2 x 110.50 + 60
    assert await one(world, "select sku, quantity, price, discount from vms.order_items") == (
        "CUP", Decimal(2), Decimal("120.50"), Decimal(20),
    )  # fmt: skip
    assert await one(world, "select amount, status, paid_at from vms.payments") == (
        Decimal(100), "paid", datetime(2026, 3, 2, 8, 30, tzinfo=UTC),
    )  # fmt: skip
    assert await one(world, "select recipient, address from vms.shipments") == ("Олена", "Київ")
    assert await world.rows("select * from sync.dead_letters") == []
    assert await world.rows("select * from sync.outbox") == []


async def test_keycrms_webhooks_are_in_vms_within_the_second_through_the_relay(world: World, key: Key) -> None:
    await key.open(world)
    key.sent()
    async with running_relay(world) as task:

        async def is_there(query: str) -> bool:
            return bool(await world.value(query))

        async def expect(query: str, *bodies: str) -> None:
            await world.webhook(*(bodies or key.sent()), project_id="key", crm="keycrm")
            await until(lambda: is_there(query), task)

        await expect("select count(*) = 1 from vms.orders")
        key.state.change_status(1, 8, at=START + timedelta(days=2))
        await expect("select status = 'SHIPPED' from vms.orders")
        payment = key.state.add_payment(1, 181, at=START + timedelta(days=2, seconds=1))
        await expect("select payment_status = 'paid' from vms.orders")
        key.state.change_payment(payment["id"], status="canceled", at=START + timedelta(days=2, minutes=1))
        await expect("select payment_status = 'part_paid' from vms.orders")
        key.state.catalog.set_stock(31, 3)
        await expect("select stock = 3 from vms.articles")
        key.state.update_buyer(key.buyer.id, full_name="Олена Петренко", at=START + timedelta(days=2, hours=1))
        await expect(
            "select full_name = 'Олена Петренко' from vms.customers",
            json.dumps({"event": "buyer.updated", "context": {"id": key.buyer.id}}),
        )
        new = key.state.add_order(
            buyer=key.state.add_buyer("Ігор", phones=["+380671234567"], at=START), at=START + timedelta(days=2),
            products=[{"name": "Cup", "sku": "CUP", "price": 120.5, "quantity": 1}],
        )  # fmt: skip
        await expect(
            f"""
            select count(*) = 1 from vms.orders as o join vms.customers as c on c.id = o.customer_id
            join vms.order_items as i on i.order_id = o.id
            where number = 'KEYCRM-{new.id}' and full_name = 'Ігор' and phone = '+380671234567'
            """
        )
        key.state.change_status(new.id, 19, at=START + timedelta(days=2, minutes=5))
        await expect(f"select status = 'CANCELLED' from vms.orders where number = 'KEYCRM-{new.id}'")
    assert await world.rows("select * from sync.dead_letters") == []
    assert await world.rows("select * from sync.outbox") == []


async def test_the_delay_from_a_webhook_to_vms_is_under_a_second(world: World, key: Key) -> None:
    await key.open(world)
    async with running_relay(world) as task:
        key.sent()
        delays = []
        for number in range(20):
            status, word = ((3, "CONFIRMED"), (8, "SHIPPED"))[number % 2]
            key.state.change_status(1, status, at=START + timedelta(days=2, minutes=number))
            await world.webhook(*key.sent(), project_id="key", crm="keycrm")

            async def has_come(word: str = word) -> bool:
                return bool(await world.value("select coalesce(bool_and(status = %s), false) from vms.orders", word))

            delays.append(await until(has_come, task))
    assert sorted(delays)[18] <= 1.0


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def rail(clock: Clock) -> retailcrm.SimulatorState:
    return retailcrm.SimulatorState(api_key=KEY, clock=clock, rate_limit=0, timezone="Europe/Moscow", currency="RUB")


async def test_retailcrms_orders_customers_and_payments_come_in_and_follow(
    world: World, rail: retailcrm.SimulatorState, clock: Clock
) -> None:
    world.lookup = get  # type: ignore[method-assign]
    customer = rail.add_customer("Анна", phones=["8 916 123-45-67"], email="A@example.com")
    order = rail.add_order(
        customer=customer, items=[{"name": "Чашка", "initialPrice": 100, "quantity": 3}], managerComment="к полудню"
    )
    with serve(retailcrm.create_app(rail)) as url:
        await world.add_project(
            "rail", crm="retailcrm", base_url=url, timezone="Europe/Moscow", region="RU", key="",
            vms={"inbound": True}, status_map={"new": "PENDING", "complete": "DELIVERED", "cancel-other": "CANCELLED"},
        )  # fmt: skip
        async with world.pool.connection() as connection, connection.transaction():
            await credentials.store(connection, world.keyring, "rail", {"api_key": KEY})
        await pull_project(world.pool, world.keyring, "rail")
        await inbound.apply_due(world.pool)
        assert await one(world, "select full_name, phone, email from vms.customers") == (
            "Анна", "+79161234567", "a@example.com",
        )  # fmt: skip
        assert await one(world, "select number, status, total, currency, comment from vms.orders") == (
            "RETAILCRM-1", "PENDING", Decimal(300), "RUB", "к полудню",
        )  # fmt: skip
        assert await one(world, "select sku, name, quantity, price from vms.order_items") == (
            None, "Чашка", Decimal(3), Decimal(100),
        )  # fmt: skip
        clock.advance(hours=1)
        rail.change_status(order["id"], "complete")
        rail.add_payment(order["id"], 300)
        rail.update_customer(customer["id"], firstName="Анна Мария")
        hints = ('{"order_id":"1"}', f'{{"customer_id":"{customer["id"]}"}}')
        await world.webhook(*hints, project_id="rail", crm="retailcrm")
        await drain(world.pool, "rail")
        await run_due(world.pool, world.keyring)
        await inbound.apply_due(world.pool)
        assert await one(world, "select status, payment_status from vms.orders") == ("DELIVERED", "paid")
        assert await one(world, "select amount, status from vms.payments") == (Decimal(300), "paid")
        assert await one(world, "select full_name from vms.customers") == ("Анна Мария",)
        assert await world.rows("select * from sync.dead_letters") == []
        assert await world.rows("select * from sync.outbox") == []
