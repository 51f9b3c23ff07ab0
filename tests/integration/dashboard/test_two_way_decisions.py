"""A conflict that a person decides field by field on the dashboard reaches both the CRM and vms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from dashboard_process import Dashboard, dashboard

from connectors import registry
from connectors.keycrm.simulator import SimulatorState, create_app
from database.connection import open_pool
from database.encryption import Keyring
from sync.normalise import drain
from sync.pull import pull_project
from sync.two_way import inbound
from sync.two_way.outbound import send_due
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio
KEY = "right-key-0123456789"


@pytest.fixture
def state() -> SimulatorState:
    return SimulatorState(api_key=KEY, rate_limit=0)


@pytest.fixture
def base_url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield f"{url}/v1"


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Dashboard]:
    with dashboard(database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def world(running: Dashboard, keyring: Keyring, base_url: str) -> AsyncIterator[World]:
    async with open_pool(running.database_url, max_size=8) as pool:
        made = World(running.database_url, pool, keyring)
        await made.add_project(
            "print", crm="keycrm", base_url=base_url, key=KEY, conflict_policy="manual", vms={"inbound": True},
            options={"rate_limit": {"requests": 10_000, "per_seconds": 1.0}},
        )  # fmt: skip
        yield made


async def exchange(world: World) -> None:
    """Each side hears of the other."""
    await pull_project(world.pool, world.keyring, "print")
    await drain(world.pool, "print")
    await inbound.apply_due(world.pool, lookup=registry.get)
    await send_due(world.pool, world.keyring, instance="t", lookup=registry.get, project_ids=["print"])


async def test_each_field_goes_to_the_side_that_lost_it(
    running: Dashboard, world: World, state: SimulatorState
) -> None:
    await world.execute(
        "insert into vms.customers (project_id, id, full_name, email, note) values ('print', 5, 'Olena', 'o@e.ua', 'a')"
    )
    await exchange(world)
    await exchange(world)
    (buyer,) = state.buyers
    state.update_buyer(buyer.id, full_name="Olena of the CRM", note="theirs")
    await world.execute("update vms.customers set full_name = 'Olena of the warehouse', note = 'ours' where id = 5")
    await exchange(world)
    login = await asyncio.to_thread(running.user, role="admin")
    token = await asyncio.to_thread(running.bearer, login)
    async with httpx.AsyncClient(base_url=running.url, headers=token, timeout=30) as client:
        (conflict,) = (await client.get("/api/conflicts")).json()["items"]
        assert {name: (of["vms"], of["crm"]) for name, of in conflict["fields"].items()} == {
            "full_name": ("Olena of the warehouse", "Olena of the CRM"), "note": ("ours", "theirs"),
        }  # fmt: skip
        answer = await client.post(
            f"/api/conflicts/{conflict['conflict_id']}/resolve",
            json={"winner": {"full_name": "vms", "note": "crm"}, "version": conflict["version"]},
        )
        assert answer.json()["state"] == "resolved", answer.text
    await exchange(world)
    (buyer,) = state.buyers
    (customer,) = await world.rows("select full_name, note from vms.customers")
    assert (buyer.fields["full_name"], customer["full_name"]) == ("Olena of the warehouse",) * 2
    assert (buyer.fields["note"], customer["note"]) == ("theirs",) * 2
    assert await world.value("select count(*) from sync.conflicts where state = 'open'") == 0
    entries = await world.rows("select actor, object, after from config.audit_log where action = 'resolved'")
    assert {(row["actor"], row["object"], row["after"]["value"]) for row in entries} == {
        (f"user:{login}", "conflict customer 5 full_name", "Olena of the warehouse"),
        (f"user:{login}", "conflict customer 5 note", "theirs"),
    }
