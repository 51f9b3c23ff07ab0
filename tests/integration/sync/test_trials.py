"""A project whose definition is new is stored, and pulled only once a test with that very definition has passed."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml

from connectors import registry
from connectors.custom.simulator import PREFIX, SimulatorState, create_app
from connectors.errors import ConfigError
from database.connection import Pool, open_pool
from database.encryption import Keyring
from database.repositories import audit, settings
from database.repositories.settings import ProjectRow
from orchestration.defs.pull import schedules
from sync.pull import pull_project
from sync.settings import ApplyResult, apply_settings
from sync.settings.trials import UNTRIED
from sync.trials import try_project
from tests.support.http_server import serve
from tests.support.orchard import json_definition

pytestmark = pytest.mark.anyio
KEY = "orchard-key-1"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(database_url, max_size=8) as opened:
        yield opened


@pytest.fixture
def state() -> SimulatorState:
    return SimulatorState(KEY)


@pytest.fixture
def url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as address:
        yield address + PREFIX


class Office:
    """Applies and tries one project."""

    def __init__(self, pool: Pool, keyring: Keyring, url: str) -> None:
        self.pool, self.keyring = pool, keyring
        self.definition = json_definition()
        self.project: dict[str, Any] = {
            "id": "orchard", "name": "Orchard", "crm": "custom", "base_url": url, "timezone": "Europe/Kyiv",
            "region": "UA", "credentials": {"api_token": KEY},
        }  # fmt: skip

    async def apply(self, *, dry_run: bool = False, **changes: Any) -> ApplyResult:
        project = {**self.project, "options": {"definition": copy.deepcopy(self.definition)}, **changes}
        text = yaml.safe_dump({"projects": [project]})
        async with self.pool.connection() as connection:
            return await apply_settings(
                connection, self.keyring, text, source="s.yaml", environ={}, actor="test", dry_run=dry_run
            )

    async def test(self) -> tuple[bool, bool]:
        trial = await try_project(self.pool, self.keyring, "orchard", actor="test")
        return trial.health.ok, trial.is_enabled_now

    async def row(self) -> ProjectRow:
        async with self.pool.connection() as connection:
            row = await settings.load_project(connection, "orchard")
        assert row is not None
        return row

    async def switch(self, enabled: bool, reason: str | None = None) -> None:
        async with self.pool.connection() as connection:
            await settings.set_enabled(connection, "orchard", enabled, reason)


@pytest.fixture
def office(pool: Pool, keyring: Keyring, url: str) -> Office:
    return Office(pool, keyring, url)


async def test_a_new_project_is_pulled_once_a_first_page_was_read_as_defined(
    office: Office, state: SimulatorState
) -> None:
    state.add_order(total="10.50")
    state.add_sale(sum="10.50", phone="0501234567")
    result = await office.apply()
    assert result.notes == (f"orchard is not pulled, {UNTRIED}: crm-elt project test orchard",)
    row = await office.row()
    assert (row.is_enabled, row.disabled_reason) == (False, UNTRIED)
    with pytest.raises(ConfigError, match=r"has not passed a test yet.*`crm-elt project test orchard`"):
        await pull_project(office.pool, office.keyring, "orchard")
    assert state.requests.total == 0

    assert await office.test() == (True, True)
    assert (await office.row()).is_enabled
    pulled = await pull_project(office.pool, office.keyring, "orchard")
    assert {stream.stream: stream.counts.new for stream in pulled.streams} == {
        "customers": 0, "orders": 1, "transactions": 1,
    }  # fmt: skip
    async with office.pool.connection() as connection:
        sales = await connection.execute("select external_id, amount::text, phone_e164 from core.transactions")
        assert [tuple(sale.values()) for sale in await sales.fetchall()] == [("ORCHARD-2", "10.50", "+380501234567")]
        assert "tried" in {entry.action for entry in await audit.entries(connection)}


async def test_a_stream_that_only_other_definitions_have_is_left_out_of_a_pull(
    office: Office, state: SimulatorState
) -> None:
    state.add_order()
    del office.definition["entities"]["customers"]
    await office.apply()
    await office.test()
    pulled = await pull_project(office.pool, office.keyring, "orchard", streams=["customers", "orders"])
    assert [stream.stream for stream in pulled.streams] == ["orders"]
    with pytest.raises(ConfigError, match="has no stream 'customers'"):
        await pull_project(office.pool, office.keyring, "orchard", streams=["customers"])
    streams = registry.get("custom").capabilities.streams
    assert [key.path[-1] for key in schedules._enabled(await office.row(), "custom", streams)] == [
        "orders", "transactions",
    ]  # fmt: skip


async def test_a_changed_definition_waits_again_and_one_that_has_passed_before_does_not(
    office: Office, state: SimulatorState
) -> None:
    state.add_order()
    await office.apply()
    await office.test()
    first = copy.deepcopy(office.definition)
    assert (await office.apply()).changes == ()
    assert (await office.apply(name="Orchard & sons")).notes == ()
    assert (await office.row()).is_enabled
    office.definition["entities"]["orders"]["fields"]["comment"] = "$.state.code"
    await office.apply(dry_run=True)
    assert (await office.row()).is_enabled
    await office.apply()
    assert (await office.row()).disabled_reason == UNTRIED
    office.definition = first
    assert (await office.apply()).notes == ()
    assert (await office.row()).is_enabled


async def test_a_test_that_fails_or_proves_nothing_enables_nothing(office: Office, state: SimulatorState) -> None:
    office.definition["entities"]["orders"]["fields"]["total"] = "$.state"
    await office.apply()
    assert await office.test() == (True, False)  # there is no record yet
    order = state.add_order()
    assert await office.test() == (False, False)
    assert not (await office.row()).is_enabled
    assert order["state"] == "new"


async def test_who_was_disabled_for_another_reason_stays_so(office: Office, state: SimulatorState) -> None:
    state.add_order()
    await office.apply()
    await office.switch(False, "by hand")
    assert await office.test() == (True, False)
    row = await office.row()
    assert (row.is_enabled, row.disabled_reason) == (False, "by hand")


async def test_a_project_of_a_crm_without_a_definition_needs_no_test(office: Office) -> None:
    office.project |= {"id": "shop", "crm": "keycrm", "credentials": {"api_key": "k-1"}}
    assert (await office.apply(options={})).notes == ()
    async with office.pool.connection() as connection:
        row = await settings.load_project(connection, "shop")
    assert row is not None
    assert row.is_enabled
