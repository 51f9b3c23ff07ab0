"""The relay itself, killed again and again while changes in vms go to the simulated KeyCRM.

`make test` does it few times; `make chaos` fifty times in 5,000 changes.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from sync.normalise import drain
from sync.pull import pull_project
from tests.integration.two_way.keycrm_sides import KEY, open_differences
from tests.support.http_server import serve
from tests.support.relaying import until
from tests.support.world import World

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("CRM_ELT_KILLS", "5"))
CHANGES = int(os.environ.get("CRM_ELT_KILL_CHANGES", "300"))
SECONDS = 60 + 12 * KILLS + CHANGES / 10
BATCH = 25
STATEMENTS = {
    "order": """
        with buyer as (
            insert into vms.customers (project_id, id, full_name, phone)
            values ('print', %(new)s, 'Buyer ' || %(new)s, '+38067' || lpad(%(new)s::text, 7, '0')) returning id
        ), article as (
            insert into vms.articles (project_id, id, sku, name, price, stock)
            values ('print', %(new)s, 'A-' || %(new)s, 'Cup ' || %(new)s, 10, 1) returning id, sku
        ), made as (
            insert into vms.orders (project_id, id, customer_id) select 'print', %(new)s, id from buyer returning id
        )
        insert into vms.order_items (project_id, order_id, article_id, sku, name, price)
        select 'print', made.id, article.id, article.sku, 'Cup', 10 from made, article
        """,
    "status": "update vms.orders set status = %(status)s, comment = 'change ' || %(made)s where id = %(old)s",
    "payment": """
        insert into vms.payments (project_id, order_id, amount, method) values ('print', %(old)s, %(made)s, 'card')
        """,
    "stock": "update vms.articles set stock = %(made)s where id = %(old)s",
}


class Murderous:
    """The simulator, which kills its client at certain writes, before or after it has done them."""

    def __init__(self, state: SimulatorState) -> None:
        self.app = create_app(state)
        self.process: subprocess.Popen[bytes] | None = None
        rng = random.Random(KILLS)
        writes = sorted(rng.sample(range(3, CHANGES * 3 // 4), KILLS))
        self.plan = {number: rng.choice(("before", "after")) for number in writes}
        self.writes = 0
        self.kills: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        when = None
        if scope["type"] == "http" and scope["method"] != "GET":
            self.writes += 1
            when = self.plan.get(self.writes)
        if when == "before":
            self._kill(when)
        await self.app(scope, receive, send)
        if when == "after":
            self._kill(when)

    def _kill(self, when: str) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills[when] += 1


def start_relay(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "cli", "relay"], cwd=ROOT, env={**os.environ, "DATABASE_URL": url})


async def change_vms(world: World) -> None:
    """CHANGES changes, in transactions of up to BATCH."""
    rng = random.Random(CHANGES)
    orders = made = 0
    while made < CHANGES:
        async with world.pool.connection() as connection, connection.transaction():
            for _ in range(min(BATCH, CHANGES - made)):
                made += 1
                kind = rng.choice(list(STATEMENTS)) if orders else "order"
                orders += kind == "order"
                values = {
                    "new": orders, "old": rng.randint(1, orders), "made": made,
                    "status": rng.choice(("CONFIRMED", "PROCESSING", "SHIPPED", "DELIVERED")),
                }  # fmt: skip
                await connection.execute(STATEMENTS[kind], values)


async def test_a_relay_killed_again_and_again_loses_nothing_and_sends_nothing_twice(world: World) -> None:
    state = SimulatorState(api_key=KEY, rate_limit=0)
    app = Murderous(state)
    with serve(app) as url:
        options = {
            "source_id": 2,
            "warehouse_id": 1,
            "payment_methods": {"card": 2},
            "rate_limit": {"requests": 10_000, "per_seconds": 1.0},
        }
        await world.add_project("print", crm="keycrm", base_url=f"{url}/v1", key=KEY, options=options)
        await pull_project(world.pool, world.keyring, "print")
        changing = asyncio.create_task(change_vms(world))

        async def is_done() -> bool:
            if app.process is None or app.process.poll() is not None:
                app.process = start_relay(world.url)
            if not changing.done():
                return False
            changing.result()
            waiting = await world.value("select count(*) from sync.outbox where state in ('waiting', 'sending')")
            return waiting == 0 and sum(app.kills.values()) == KILLS

        try:
            await until(is_done, seconds=SECONDS)
        finally:
            changing.cancel()
            if app.process is not None:
                app.process.terminate()
                app.process.wait(30)
        await pull_project(world.pool, world.keyring, "print")
        await drain(world.pool, "print", wait=True)
        assert await open_differences(world) == {}
    assert state.writes.twice() == {}
    assert await world.rows("select state, message from sync.outbox where state not in ('sent', 'skipped')") == []
    assert await world.rows("select reason from sync.dead_letters") == []
    for table, records in (("orders", state.orders), ("customers", state.buyers), ("articles", state.catalog.offers)):
        assert len(list(records)) == await world.value(f"select count(*) from vms.{table}"), table
    paid = sorted(payment["amount"] for order in state.orders for payment in order.payments)
    assert paid == [int(row["amount"]) for row in await world.rows("select amount from vms.payments order by amount")]
    sys.stdout.write(f"{CHANGES} changes, {app.writes} writes, killed {dict(app.kills)}: nothing lost, nothing twice\n")
