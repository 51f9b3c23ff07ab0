"""A hundred projects pulled at once from one process: all are served in turn, and none is held up by another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from connectors.http import account_key
from connectors.keycrm.simulator import SimulatorState, create_app
from database.connection import Pool, connect, open_pool
from database.repositories import rate_limits
from sync.gateway import open_account
from sync.pull import PullResult, pull_project
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio

PROJECTS = 100
ORDERS = 40
PAGE = 5
POOL = 8
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NAMES = [f"shop-{number:03}" for number in range(PROJECTS)]


def key(name: str) -> str:
    return f"key-of-{name}-0123456789"


def shop(name: str) -> SimulatorState:
    state = SimulatorState(api_key=key(name), clock=lambda: START + timedelta(days=1), rate_limit=0)
    for number in range(ORDERS):
        products = [{"name": "Чашка", "price": 100, "quantity": 1}]
        state.add_order(products=products, at=START + timedelta(minutes=number), announce=False)
    return state


class Vendor:
    """The API of all the shops; `served` has the shop of each request, in the order of their arrival."""

    def __init__(self) -> None:
        self.shops = {name: shop(name) for name in NAMES}
        self.served: list[str] = []
        self._app = create_app(*self.shops.values())
        self._names = {f"Bearer {key(name)}".encode(): name for name in NAMES}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.served.append(self._names[dict(scope["headers"])[b"authorization"]])
        await self._app(scope, receive, send)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def base_url(vendor: Vendor) -> Iterator[str]:
    with serve(vendor) as url:
        yield f"{url}/v1"


@pytest.fixture
async def pool(world: World, base_url: str) -> AsyncIterator[Pool]:
    """The one pool of the process that pulls."""
    options = {"rate_limit": {"requests": 1000, "per_seconds": 1}}
    for name in NAMES:
        sync = {"batch_size": PAGE, "max_concurrent_requests": 2}
        await world.add_project(name, crm="keycrm", base_url=base_url, key=key(name), options=options, sync=sync)
    async with open_pool(world.url, max_size=POOL, application="puller") as opened:
        yield opened


async def orders_of(world: World) -> dict[str, int]:
    rows = await world.rows("select project_id, count(*) as orders from core.orders group by project_id")
    return {row["project_id"]: row["orders"] for row in rows}


async def watch(url: str, most: dict[str, int]) -> None:
    """Note the highest number of connections by application name until it is cancelled."""
    async with await connect(url, application="watch") as connection:
        while True:
            cursor = await connection.execute(
                "select application_name as name, count(*) as open from pg_stat_activity"
                " where datname = current_database() group by application_name"
            )
            for row in await cursor.fetchall():
                most[row["name"]] = max(most.get(row["name"], 0), row["open"])
            await asyncio.sleep(0.05)


async def test_a_hundred_projects_are_pulled_at_once_and_none_starves(
    world: World, vendor: Vendor, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    most: dict[str, int] = {}
    watching = asyncio.create_task(watch(world.url, most))

    async def pull(name: str) -> PullResult:
        return await pull_project(pool, world.keyring, name, streams=["orders"])

    results = await asyncio.gather(*map(pull, NAMES))
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching

    assert [[stream.state for stream in result.streams] for result in results] == [["success"]] * PROJECTS
    assert await orders_of(world) == dict.fromkeys(NAMES, ORDERS)
    turns = {name: [turn for turn, served in enumerate(vendor.served) if served == name] for name in NAMES}
    asked = {len(of_one) for of_one in turns.values()}
    waits = [after - before for of_one in turns.values() for before, after in pairwise(of_one)]
    first = max(of_one[0] for of_one in turns.values())
    with capsys.disabled():
        print(f"\n{len(vendor.served)} requests, {min(asked)} to {max(asked)} for each project; connections {most}")
        print(f"most requests of others before a project's first {first}, between two of its own {max(waits)}")
    # Served strictly in turn, these would be a hundred each; one after the other, 891 before the last one's first.
    assert max(waits) <= 3 * PROJECTS
    assert first <= 3 * PROJECTS
    assert most["puller"] <= POOL
    assert most["crm-elt lock"] <= PROJECTS  # one for each pull, which holds its stream's lock
    assert await world.value("select count(*) from sync.rate_limits") == PROJECTS


async def test_an_account_that_must_wait_for_its_limit_holds_up_no_other(
    world: World, vendor: Vendor, pool: Pool
) -> None:
    blocked, *others = NAMES
    async with pool.connection() as connection:
        account = await open_account(pool, connection, world.keyring, blocked)
        await rate_limits.block(connection, account_key(account), 3600)
    waiting = asyncio.create_task(pull_project(pool, world.keyring, blocked, streams=["orders"]))
    await asyncio.gather(*(pull_project(pool, world.keyring, name, streams=["orders"]) for name in others[:30]))
    assert not waiting.done()
    assert blocked not in vendor.served
    assert await orders_of(world) == dict.fromkeys(others[:30], ORDERS)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    await world.execute("delete from sync.rate_limits")
    await pull_project(pool, world.keyring, blocked, streams=["orders"])
    assert (await orders_of(world))[blocked] == ORDERS
