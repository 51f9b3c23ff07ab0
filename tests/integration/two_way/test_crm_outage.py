"""The CRM is away while vms goes on changing: the queue grows, one alert is raised, and then it drains in order.

The outage lasts as long as its conditions need; `make chaos` has one of five real minutes: CRM_ELT_OUTAGE_SECONDS=300.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import pytest

from connectors import registry
from connectors.keycrm.simulator import SimulatorState
from sync.pull import pull_project
from sync.two_way import outbound_breaker
from tests.integration.two_way.keycrm_sides import KEY, open_differences
from tests.support.relaying import running_relay, until
from tests.support.vms_changes import insert
from tests.support.world import World

pytestmark = pytest.mark.anyio

OUTAGE_SECONDS = float(os.environ.get("CRM_ELT_OUTAGE_SECONDS", "0"))
ORDERS = 4
"""At the CRM before it goes away."""
NEW = max(12, round(OUTAGE_SECONDS / 2))
"""Orders that are made meanwhile; and as many changes of the others."""
PROBES = 4
"""It is asked at least so often whether it is back."""
WORDS = ("CONFIRMED", "PROCESSING", "SHIPPED")
STATUSES = {"CONFIRMED": 2, "PROCESSING": 3, "SHIPPED": 4}
"""Word -> group of the CRM's statuses."""


@pytest.fixture
async def shop(world: World, base_url: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """One request at a time, so that their order is that of the queue."""
    if not OUTAGE_SECONDS:
        monkeypatch.setattr(outbound_breaker, "PROBE_SECONDS", (0.05, 0.2))
    world.lookup = registry.get  # type: ignore[method-assign]
    options = {"source_id": 2, "warehouse_id": 1, "rate_limit": {"requests": 10_000, "per_seconds": 1.0}}
    await world.add_project(
        "print", crm="keycrm", base_url=base_url, key=KEY, options=options, sync={"max_concurrent_requests": 1}
    )
    await pull_project(world.pool, world.keyring, "print")
    return world


async def waiting(world: World) -> int:
    return int(await world.value("select count(*) from sync.outbox where state in ('waiting', 'sending')"))


async def alerts(world: World) -> list[dict[str, Any]]:
    return await world.rows(
        "select kind, resolved_at is not null as is_over from sync.alerts where project_id = 'print'"
    )


async def test_while_the_crm_is_away_the_queue_grows_one_alert_is_raised_and_then_it_drains_in_order(
    shop: World, state: SimulatorState
) -> None:
    last: dict[int, str] = {}

    async def is_drained() -> bool:
        return await waiting(shop) == 0

    async def make_order(number: int) -> None:
        await insert(shop, "orders", project_id="print", id=number, customer_id=1, comment=f"order {number}")

    await insert(shop, "customers", project_id="print", id=1, full_name="Olena", phone="+380671112233")
    async with running_relay(shop) as task:
        for number in range(1, ORDERS + 1):
            await make_order(number)
        await until(is_drained, task)
        known = [order.id for order in state.orders]
        state.requests.clear()

        fault = state.faults.add("drop", "/", times=None)  # each connection is closed without a byte
        began, grown = time.monotonic(), []
        for number in range(1, NEW + 1):
            await make_order(ORDERS + number)
            last[1 + number % ORDERS] = WORDS[number % len(WORDS)]
            await shop.execute(
                "update vms.orders set status = %s where id = %s", WORDS[number % len(WORDS)], 1 + number % ORDERS
            )
            grown.append(await waiting(shop))
            due = began + OUTAGE_SECONDS * number / NEW

            async def is_time(due: float = due) -> bool:
                return time.monotonic() >= due

            await until(is_time, task, seconds=60)

        async def is_asked_again() -> bool:
            return fault.strikes > PROBES

        await until(is_asked_again, task)
        assert grown == [2 * number for number in range(1, NEW + 1)]
        assert await waiting(shop) == 2 * NEW
        assert await shop.value("select max(attempts) from sync.outbox where state = 'waiting'") == 0
        assert await alerts(shop) == [{"kind": "crm_away", "is_over": False}]
        assert [order.id for order in state.orders] == known
        lasted = time.monotonic() - began

        asked = state.requests.total
        state.faults.clear()
        drained = await until(is_drained, task, seconds=90)

    assert [order.fields["manager_comment"] for order in state.orders][ORDERS:] == [
        f"order {number}" for number in range(ORDERS + 1, ORDERS + NEW + 1)
    ]
    # Several changes of one order have become one, with the last of them.
    assert {number: len(codes) for number, codes in state.writes.statuses.items()} == dict.fromkeys(known, 1)
    groups = {order.id: order.fields["status_group_id"] for order in state.orders}
    assert {number: groups[known[number - 1]] for number in last} == {
        number: STATUSES[word] for number, word in last.items()
    }
    assert state.writes.twice() == {}
    assert await alerts(shop) == [{"kind": "crm_away", "is_over": True}]
    assert await shop.rows("select reason from sync.dead_letters") == []
    assert await shop.value("select count(*) from sync.outbox where state <> 'sent'") == 0
    await pull_project(shop.pool, shop.keyring, "print")
    assert await open_differences(shop) == {}
    sys.stdout.write(
        f"away for {lasted:.0f} s, asked {asked} times; {2 * NEW} changes waited and were sent {drained:.1f} s later\n"
    )
