"""Changes in vms arrive at the simulated KeyCRM, and what is read back from there is no change of its own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from connectors import registry
from connectors.keycrm.simulator import SimulatorState
from connectors.keycrm.simulator_faults import Faults
from sync.normalise import drain
from sync.pull import pull_project
from sync.two_way import inbound
from sync.two_way.outbound import send_due
from tests.integration.two_way.keycrm_sides import KEY, open_differences
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def send(world: World) -> Any:
    return await send_due(world.pool, world.keyring, instance="t", lookup=registry.get, project_ids=["print"])


CHANGES = (
    (
        "insert into vms.customers (project_id, id, full_name, phone, email)"
        " values ('print', 5, 'Olena', '0671112233', 'O@e.ua')"
    ),
    (
        "insert into vms.articles (project_id, id, sku, name, price, stock, description)"
        " values ('print', 7, 'A-1', 'Cup', 120.5, 4, 'Blue')"
    ),
    (
        "insert into vms.orders (project_id, id, customer_id, comment, status, shipping_price, discount)"
        " values ('print', 17, 5, 'by noon', 'PROCESSING', 40, 5)"
    ),
    # 10 on three pieces cannot be had to the cent.
    "insert into vms.order_items (project_id, order_id, article_id, quantity, discount) values ('print', 17, 7, 3, 10)",
    "insert into vms.order_items (project_id, order_id, name, price) values ('print', 17, 'Engraving', 50)",
    (
        "insert into vms.payments (project_id, id, order_id, amount, status, method)"
        " values ('print', 3, 17, 100, 'paid', 'card')"
    ),
    "insert into vms.payments (project_id, id, order_id, amount) values ('print', 4, 17, 1)",
    (
        "insert into vms.shipments (project_id, order_id, carrier, address, recipient, phone)"
        " values ('print', 17, 'Nova Poshta', 'Kyiv, Khreshchatyk 1', 'Ivan', '0501234567')"
    ),
)
LATER = (
    "update vms.orders set status = 'SHIPPED'",
    "update vms.payments set status = 'refunded' where id = 3",
    "update vms.shipments set tracking_number = '2045'",
    "update vms.articles set stock = 9, price = 130, name = 'Mug'",
    "update vms.customers set phone = '0990000001'",
    "update vms.order_items set quantity = 4 where name = 'Cup'",
)


@pytest.fixture
async def shop(world: World, base_url: str) -> World:
    options = {
        "source_id": 2,
        "warehouse_id": 1,
        "payment_methods": {"card": 2},
        "delivery_services": {"Nova Poshta": 1},
        "rate_limit": {"requests": 10_000, "per_seconds": 1.0},
    }
    await world.add_project("print", crm="keycrm", base_url=base_url, key=KEY, options=options)
    await pull_project(world.pool, world.keyring, "print")
    return world


async def test_what_was_sent_is_read_back_as_what_was_agreed_on(shop: World, state: SimulatorState) -> None:
    for statements, sent in ((CHANGES, 8), (LATER, 6)):
        for statement in statements:
            await shop.execute(statement)
        assert (await send(shop)).sent == sent
        await pull_project(shop.pool, shop.keyring, "print")
        assert await open_differences(shop) == {}
    assert state.writes.twice() == {}
    [order] = state.orders
    assert (order.fields["status_id"], order.shipping["tracking_code"]) == (8, "2045")
    assert [payment["status"] for payment in order.payments] == ["canceled", "not_paid"]
    assert [row["ignored"] for row in await shop.rows("select ignored from sync.mappings")] == [{}] * 5


@pytest.mark.parametrize("seed", range(4))
async def test_answers_that_are_lost_at_random_make_nothing_twice(
    shop: World, state: SimulatorState, seed: int
) -> None:
    state.faults = Faults(seed)
    for number, statements in enumerate((CHANGES, LATER)):
        for statement in statements:
            await shop.execute(statement)
        for _ in range(40):
            state.faults.clear()
            for kind in ("drop", "server_error", "truncated"):
                state.faults.add(kind, "/", method="write", times=1, probability=0.4, is_applied=True, skip=number % 2)
            await send(shop)
            await shop.execute("update sync.outbox set not_before = now(), attempts = 0 where state = 'waiting'")
            if not await shop.rows("select from sync.outbox where state in ('waiting', 'sending')"):
                break
        assert {row["state"] for row in await shop.rows("select state from sync.outbox")} == {"sent"}
        await pull_project(shop.pool, shop.keyring, "print")
        assert await open_differences(shop) == {}
    assert state.writes.twice() == {}
    assert (len(state.orders), len(state.buyers), len(state.catalog.offers)) == (1, 1, 1)


WORDS = ("PENDING", "CONFIRMED", "PROCESSING", "SHIPPED", "DELIVERED", "CANCELLED")
STATUSES = (1, 3, 5, 8, 12, 19)
"""Of the CRM, one for each of these words."""


class Shop:
    """Random edits of both sides of some objects that are linked."""

    def __init__(self, world: World, state: SimulatorState, seed: int) -> None:
        self.world, self.state, self.random = world, state, random.Random(seed)
        self.done: Counter[str] = Counter()

    async def edit(self) -> None:
        side = self.random.choice(("vms", "crm"))
        if side == "vms":
            await self._edit_vms()
        else:
            self.random.choice(self._crm_edits())()
        self.done[side] += 1

    async def _edit_vms(self) -> None:
        number = self.random.randrange(1000)
        statement, values = self.random.choice(
            (
                ("update vms.orders set status = %s where id = %s", (self.random.choice(WORDS), self._one("order"))),
                ("update vms.orders set comment = %s where id = %s", (f"vms {number}", self._one("order"))),
                ("update vms.order_items set quantity = %s where order_id = %s", (1 + number % 5, self._one("order"))),
                (
                    "insert into vms.payments (project_id, order_id, amount, method) values ('print', %s, %s, 'card')",
                    (self._one("order"), 1 + number),
                ),
                ("update vms.payments set status = 'paid' where order_id = %s", (self._one("order"),)),
                ("update vms.customers set full_name = %s where id = %s", (f"Vms {number}", self._one("customer"))),
                ("update vms.articles set stock = %s where id = %s", (number, self._one("article"))),
                ("update vms.articles set price = %s where id = %s", (number, self._one("article"))),
            )
        )
        await self.world.execute(statement, *values)

    def _crm_edits(self) -> list[Callable[[], Any]]:
        state, number = self.state, self.random.randrange(1000)
        order = self.random.choice(list(state.orders))
        buyer = self.random.choice(list(state.buyers))
        offer = self.random.choice(list(state.catalog.offers))
        edits: list[Callable[[], Any]] = [
            lambda: state.change_status(order.id, self.random.choice(STATUSES)),
            lambda: state.update_order(order.id, manager_comment=f"crm {number}"),
            lambda: state.add_payment(order.id, 1 + number, payment_method_id=2),
            lambda: state.update_buyer(buyer.id, full_name=f"Crm {number}"),
            lambda: state.catalog.update_offer(offer.id, price=number),
            lambda: state.catalog.set_stock(offer.id, number),
        ]
        if order.payments:
            payment = self.random.choice(order.payments)
            edits.append(lambda: state.change_payment(payment["id"], status=self.random.choice(("paid", "canceled"))))
        return edits

    def _one(self, entity: str) -> int:
        return self.random.choice(self.ids[entity])

    async def know(self) -> None:
        self.ids: dict[str, list[int]] = {}
        for row in await self.world.rows("select entity_type, vms_entity_id from sync.mappings order by mapping_id"):
            self.ids.setdefault(row["entity_type"], []).append(row["vms_entity_id"])

    async def exchange(self) -> int:
        """Each side hears of the other once; how much that wrote at either."""
        before = self.state.requests.count("PUT") + self.state.requests.count("POST")
        await pull_project(self.world.pool, self.world.keyring, "print")
        await drain(self.world.pool, "print")
        applied = await inbound.apply_due(self.world.pool, lookup=registry.get)
        sent = await send(self.world)
        assert (applied.failed, sent.failed) == (0, 0)
        return self.state.requests.count("PUT") + self.state.requests.count("POST") - before


@pytest.mark.parametrize(("policy", "rounds"), [("newest", 30), ("vms", 6), ("crm", 6)])
async def test_a_thousand_random_edits_on_both_sides_settle_in_one_round(
    shop: World, state: SimulatorState, policy: str, rounds: int
) -> None:
    await shop.execute(
        "update config.projects set conflict_policy = to_jsonb(%s::text), vms = '{\"inbound\": true}'", policy
    )
    for number in range(1, 13):
        await shop.execute(
            "insert into vms.customers (project_id, id, full_name, phone) values ('print', %s, %s, %s)",
            number, f"Olena {number}", f"+3806711122{number:02}",
        )  # fmt: skip
        await shop.execute(
            "insert into vms.articles (project_id, id, sku, name, price, stock) values ('print', %s, %s, %s, 10, 5)",
            number, f"A-{number}", f"Cup {number}",
        )  # fmt: skip
        await shop.execute(
            "insert into vms.orders (project_id, id, customer_id) values ('print', %s, %s)", number, number
        )
        await shop.execute(
            "insert into vms.order_items (project_id, order_id, article_id) values ('print', %s, %s)", number, number
        )
    edits = Shop(shop, state, seed=7)
    await edits.exchange()
    for _ in range(rounds):
        await edits.know()
        for _ in range(34):
            await edits.edit()
        await edits.exchange()
        await edits.exchange()  # what was written at the CRM is heard of; where both had changed, the loser follows
        assert await edits.exchange() == 0
        assert await open_differences(shop) == {}
        assert not await shop.rows("select from sync.outbox where state in ('waiting', 'sending', 'failed')")
    assert edits.done["vms"] > 12 * rounds
    assert edits.done["crm"] > 12 * rounds
    assert state.writes.twice() == {}
