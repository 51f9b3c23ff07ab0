"""A pool, a toy CRM and a project of it on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from database.connection import open_pool
from database.encryption import Keyring
from tests.integration.two_way.keycrm_sides import KEY
from tests.support.http_server import serve
from tests.support.world import World


@pytest.fixture
async def world(database_url: str, keyring: Keyring) -> AsyncIterator[World]:
    async with open_pool(database_url, max_size=8) as pool:
        made = World(database_url, pool, keyring)
        await made.add_project()
        yield made


@pytest.fixture
async def shop(world: World) -> World:
    """With three statuses that mean something."""
    await world.add_project(status_map={"1": "PENDING", "2": "CONFIRMED", "3": "SHIPPED", "9": "CANCELLED"})
    await world.execute(
        "insert into core.statuses (project_id, status_id, name) values"
        " ('shop', '1', 'New'), ('shop', '2', 'Agreed'), ('shop', '3', 'On its way'), ('shop', '9', 'Off')"
    )
    return world


@pytest.fixture
def state() -> SimulatorState:
    """A KeyCRM account."""
    return SimulatorState(api_key=KEY, rate_limit=0)


@pytest.fixture
def base_url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield f"{url}/v1"
