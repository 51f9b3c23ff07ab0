"""The relay itself, killed again and again while vms and the simulated KeyCRM change, both at once.

`make test` does it a few times; `make chaos` fifty times in 5,000 changes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.keycrm.simulator_bodies import order_context
from sync.normalise import drain
from sync.pull import pull_project
from sync.two_way import inbound
from tests.integration.two_way.keycrm_sides import KEY, open_differences
from tests.support.http_server import serve
from tests.support.murderous import Murderous
from tests.support.relaying import until
from tests.support.world import World

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("CRM_ELT_KILLS", "5"))
CHANGES = int(os.environ.get("CRM_ELT_KILL_CHANGES", "300"))
SECONDS = 90 + 15 * KILLS + CHANGES / 5
BATCH = 20
MOST_WAITING = 100
"""Changes are made as fast as they go, so that all the kills are in their midst."""
FIRST_SUM = 1_000_000
"""Payments of the CRM's own have sums from here on."""
FIRST_ID = 1_000_000
"""What comes from the CRM has ids of the sequence."""
STATEMENTS = {
    "order": """
        with buyer as (
            insert into vms.customers (project_id, id, full_name, phone)
            values ('print', %(id)s, 'Buyer ' || %(new)s, '+38067' || lpad(%(new)s::text, 7, '0')) returning id
        ), article as (
            insert into vms.articles (project_id, id, sku, name, price, stock)
            values ('print', %(id)s, 'A-' || %(new)s, 'Cup ' || %(new)s, 10, 1) returning id, sku
        ), made as (
            insert into vms.orders (project_id, id, customer_id) select 'print', %(id)s, id from buyer returning id
        )
        insert into vms.order_items (project_id, order_id, article_id, sku, name, price)
        select 'print', made.id, article.id, article.sku, 'Cup', 10 from made, article
        """,
    "status": "update vms.orders set status = %(word)s where id = %(old)s",
    "payment": """
        insert into vms.payments (project_id, order_id, amount, method) values ('print', %(old)s, %(made)s, 'card')
        """,
    "stock": "update vms.articles set stock = %(made)s where id = %(old)s",
}  # fmt: skip
WORDS = ("CONFIRMED", "PROCESSING", "SHIPPED", "DELIVERED")
STATUSES = (1, 3, 5, 8, 12, 19)
BUSY = """
    select (select count(*) from sync.outbox where state in ('waiting', 'sending'))
        + (select count(*) from sync.inbound_queue) + (select count(*) from sync.raw_queue)
        + (select count(*) from sync.requests where state in ('queued', 'running')) as waiting
    """


class Both:
    """Changes of both sides, none of which the other side makes too; and what has to have come of them."""

    def __init__(self, world: World, state: SimulatorState) -> None:
        self.world, self.state = world, state
        self.random = random.Random(CHANGES)
        self.made = self.orders = self._told = 0
        self.done: Counter[str] = Counter()
        self.born: list[int] = []
        """Orders that were made at the CRM."""
        self.sums: list[int] = []
        self.comments: dict[int, str] = {}
        state.webhooks.add_target("http://127.0.0.1:9/")  # nobody listens: what it sends is read from its log

    async def make(self) -> None:
        """CHANGES changes, each BATCH in a transaction, or announced together."""
        while self.made < CHANGES:
            hints: list[Any] = []
            async with self.world.pool.connection() as connection, connection.transaction():
                for _ in range(min(BATCH, CHANGES - self.made)):
                    self.made += 1
                    kind = self.random.choice(("vms", "crm")) if self.orders and list(self.state.orders) else "vms"
                    if kind == "vms":
                        await self._in_vms(connection)
                    else:
                        with self.state.lock:
                            hints += self._at_crm()
            await self.announce(hints)
            while await self.world.value(BUSY) > MOST_WAITING:  # noqa: ASYNC110 - the relay tells nobody
                await asyncio.sleep(0.02)

    async def announce(self, hints: list[Any]) -> None:
        """Land the CRM's webhooks since the last time, those of our own writes too."""
        log = self.state.webhooks.deliveries()
        hints = [*(delivery.payload for delivery in log[self._told :]), *hints]
        self._told = len(log)
        if hints:
            await self.world.webhook(*map(json.dumps, hints), project_id="print", crm="keycrm")

    async def _in_vms(self, connection: Any) -> None:
        kind = self.random.choice(list(STATEMENTS)) if self.orders else "order"
        self.orders += kind == "order"
        values = {
            "new": self.orders, "id": FIRST_ID + self.orders, "old": FIRST_ID + self.random.randint(1, self.orders),
            "made": self.made, "word": self.random.choice(WORDS),
        }  # fmt: skip
        await connection.execute(STATEMENTS[kind], values)
        self.done[f"vms {kind}"] += 1

    def _at_crm(self) -> list[Any]:
        """What the vendor does not tell of by itself."""
        kind = self.random.choice(("order", "status", "payment", "comment") if self.born else ("order",))
        self.done[f"crm {kind}"] += 1
        order = self.random.choice(list(self.state.orders))
        match kind:
            case "order":
                buyer = self.state.add_buyer(f"Born {self.made}", phones=[f"+38050{self.made:07}"])
                line = {"name": "Wrap", "price": 100, "quantity": 1}
                self.born.append(self.state.add_order(buyer=buyer, products=[line]).id)
            case "status":
                self.state.change_status(self.random.choice(self.born), self.random.choice(STATUSES))
            case "payment":
                self.sums.append(FIRST_SUM + self.made)
                payment = self.state.add_payment(order.id, self.sums[-1], payment_method_id=2)
                return [{"event": "payment.created", "context": payment}]
            case _:
                self.comments[order.id] = f"change {self.made}"
                changed = self.state.update_order(order.id, manager_comment=self.comments[order.id])
                return [{"event": "order.updated", "context": order_context(changed)}]
        return []


def start_relay(url: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "cli", "relay"],
            cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, stdout=file, stderr=file,
        )  # fmt: skip


async def test_a_relay_killed_again_and_again_loses_nothing_and_sends_nothing_twice(
    world: World, tmp_path: Path
) -> None:
    state = SimulatorState(api_key=KEY, rate_limit=0)
    app = Murderous(create_app(state), KILLS, requests_between=CHANGES // KILLS, seed=KILLS)
    both = Both(world, state)
    log = tmp_path / "relay.log"
    with serve(app) as url:
        options = {
            "order_source_id": 2,
            "warehouse_id": 1,
            "payment_methods": {"card": 2},
            "rate_limit": {"requests": 10_000, "per_seconds": 1.0},
        }
        await world.add_project(
            "print", crm="keycrm", base_url=f"{url}/v1", key=KEY, options=options, vms={"inbound": True}
        )
        await pull_project(world.pool, world.keyring, "print")
        changing = asyncio.create_task(both.make())
        starts, killed_meanwhile = 0, 0

        async def is_done() -> bool:
            nonlocal starts, killed_meanwhile
            if app.process is None or app.process.poll() is not None:
                app.process = start_relay(world.url, log)
                starts += 1
            if not changing.done():
                killed_meanwhile = app.kills.total()
                return False
            changing.result()
            await both.announce([])
            return not app.left and await world.value(BUSY) == 0

        try:
            await until(is_done, seconds=SECONDS)
        finally:
            changing.cancel()
            if app.process is not None:
                app.process.terminate()
                app.process.wait(30)
        await assert_both_have_everything_once(world, both)
        # And what the CRM tells of everything when it is asked is nothing new, but for the purchase price that KeyCRM
        # itself gave an article whose maker was killed before it could note that.
        await pull_project(world.pool, world.keyring, "print")
        await drain(world.pool, "print", wait=True)
        news = await open_differences(world)
        assert all(name.startswith("article ") for name in news)
        assert [given for given in news.values() if given != ({"purchased_price": "0.00"}, set(), ())] == []
        await inbound.apply_due(world.pool, project_id="print", wait=True)
        assert await open_differences(world) == {}
    assert app.kills.total() == KILLS
    assert starts == KILLS + 1
    assert "Traceback" not in log.read_text()
    told = f"{both.made} changes ({dict(sorted(both.done.items()))}), {state.requests.total} requests of the relay"
    when = f"killed {KILLS} times, {killed_meanwhile} of them during the changes: {dict(app.kills)}"
    sys.stdout.write(f"{told}; {when}; written: {state.writes.as_json()}\n")


async def assert_both_have_everything_once(world: World, both: Both) -> None:
    """Of the simulator and of vms, by what was done to each."""
    state = both.state
    assert await world.rows("select reason from sync.dead_letters where closed_at is null") == []
    assert await world.rows("select state, message from sync.outbox where state not in ('sent', 'skipped')") == []

    # Out: each object was made once, and none of those that came from the CRM went back there.
    assert state.writes.twice() == {}
    made = state.writes.as_json()
    assert (made["orders_created"], made["buyers_created"], made["products_created"]) == (both.orders,) * 3
    assert made["payments_added"] == both.done["vms payment"]
    assert not state.writes.statuses.keys() & set(both.born)
    assert len(list(state.orders)) == len(list(state.buyers)) == both.orders + len(both.born)

    # In: each object of the CRM is in vms once, and as it is there.
    linked = {
        int(row["crm_entity_id"]): row
        for row in await world.rows(
            """
            select m.crm_entity_id, o.comment, o.status
            from sync.mappings as m join vms.orders as o on o.id = m.vms_entity_id where m.entity_type = 'order'
            """
        )
    }
    assert linked.keys() == {order.id for order in state.orders}
    for table, count in (("orders", both.orders + len(both.born)), ("articles", both.orders)):
        assert await world.value(f"select count(*) from vms.{table}") == count, table
    assert await world.value("select count(*) from vms.customers") == both.orders + len(both.born)
    assert {crm_id: linked[crm_id]["comment"] for crm_id in both.comments} == both.comments
    groups = {1: "PENDING", 2: "CONFIRMED", 3: "PROCESSING", 4: "SHIPPED", 5: "DELIVERED", 6: "CANCELLED"}
    assert {order.id: groups[order.fields["status_group_id"]] for order in state.orders} == {
        crm_id: row["status"] for crm_id, row in linked.items()
    }
    sums = [int(row["amount"]) for row in await world.rows("select amount from vms.payments")]
    assert Counter(sums) == Counter(payment["amount"] for order in state.orders for payment in order.payments)
    assert sorted(amount for amount in sums if amount > FIRST_SUM) == sorted(both.sums)
    assert len(sums) == both.done["vms payment"] + len(both.sums)
    stocks = await world.rows("select sku, stock from vms.articles")
    assert {row["sku"]: int(row["stock"]) for row in stocks} == {
        offer.fields["sku"]: state.catalog.stock(offer.id)[0] for offer in state.catalog.offers
    }
