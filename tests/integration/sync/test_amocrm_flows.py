"""An amoCRM account through the flows: from its API and webhooks to core, with sales that come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors import registry
from connectors.amocrm.simulator import SimulatorState, create_app
from connectors.errors import ConfigError
from connectors.protocol import MappingContext, WebhookRequest
from database.repositories import credentials
from sync import requests
from sync.normalise import drain
from sync.pull import pull_project
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio
AMOCRM = registry.get("amocrm")


class Deals:
    """The project `deals` on a simulated account, whose clock stands an hour ago and moves by hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self.amo = SimulatorState(access_token="token-of-the-account", clock=lambda: self.now, rate_limit=0)

    def wait(self, **units: float) -> None:
        self.now += timedelta(**units)

    async def pull(self) -> None:
        await pull_project(self.world.pool, self.world.keyring, "deals")

    async def deliver(self) -> None:
        """What the account would send now, as the ingest API lands it."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        for delivery in self.amo.sender.deliveries():
            request = WebhookRequest("POST", headers, {}, delivery.payload)
            body = AMOCRM.check_webhook(request, MappingContext("deals"))
            await self.world.webhook(body, project_id="deals", crm="amocrm")
        self.amo.sender.clear()
        await drain(self.world.pool, "deals")

    async def sales(self) -> dict[str, str]:
        rows = await self.world.rows("select external_id, state from core.transactions where project_id = 'deals'")
        return {row["external_id"]: row["state"] for row in rows}

    async def history(self, lead: int) -> list[tuple[str, timedelta]]:
        rows: list[dict[str, Any]] = await self.world.rows(
            "select status_id, status_changed_at - order_created_at as after from core.order_status_events"
            " where project_id = 'deals' and order_id = %s order by status_changed_at, event_id",
            str(lead),
        )
        return [(row["status_id"].partition("/")[2], row["after"]) for row in rows]


@pytest.fixture
async def deals(world: World) -> AsyncIterator[Deals]:
    made = Deals(world)
    with serve(create_app(made.amo)) as url:
        await world.add_project(
            "deals", key="", crm="amocrm", base_url=url, timezone="Europe/Moscow", currency=None,
            options={"rate_limit": {"requests": 1000, "per_seconds": 1}},
        )  # fmt: skip
        async with world.pool.connection() as connection, connection.transaction():
            await credentials.store(connection, world.keyring, "deals", {"access_token": "token-of-the-account"})
        yield made


async def test_sales_come_and_go_with_their_leads(deals: Deals) -> None:
    contact = deals.amo.add_contact("Анна", phones=["+79990000001"])
    kept, reopened, deleted = (deals.amo.add_lead("Сделка", price=100, contacts=[contact]) for _ in range(3))
    deals.wait(minutes=5)
    for lead in (kept, reopened, deleted):
        deals.amo.move_lead(lead, 142)
    await deals.pull()
    assert await deals.sales() == {f"AMO-{lead}": "active" for lead in (kept, reopened, deleted)}
    deals.wait(minutes=30)
    [pipeline] = deals.amo.pipelines
    deals.amo.move_lead(reopened, deals.amo.stages(pipeline)[1])
    deals.amo.delete("leads", deleted)
    await deals.pull()
    assert await deals.sales() == {f"AMO-{kept}": "active", f"AMO-{reopened}": "reversed", f"AMO-{deleted}": "reversed"}
    deals.wait(minutes=1)
    deals.amo.restore("leads", deleted)
    await deals.pull()
    await requests.run_due(deals.world.pool, deals.world.keyring)
    await drain(deals.world.pool, "deals")
    assert (await deals.sales())[f"AMO-{deleted}"] == "active"


async def test_pulls_and_webhooks_tell_one_history(deals: Deals) -> None:
    deals.amo.hooks.append(
        {"destination": "http://127.0.0.1:1/never", "settings": ["add_lead", "status_lead"], "disabled": False}
    )
    [pipeline] = deals.amo.pipelines
    first, second, third = deals.amo.stages(pipeline)
    lead = deals.amo.add_lead("Сделка", price=100)
    await deals.deliver()
    deals.wait(minutes=10)
    deals.amo.move_lead(lead, second)
    await deals.pull()
    await deals.deliver()  # late, after the pull
    deals.wait(minutes=10)
    deals.amo.move_lead(lead, third)
    deals.wait(minutes=10)
    deals.amo.move_lead(lead, 142)
    await deals.deliver()
    await requests.run_due(deals.world.pool, deals.world.keyring)
    await drain(deals.world.pool, "deals")
    await deals.pull()
    assert await deals.history(lead) == [
        (str(first), timedelta(0)),
        (str(second), timedelta(minutes=10)),
        (str(third), timedelta(minutes=20)),
        ("142", timedelta(minutes=30)),
    ]
    assert await deals.sales() == {f"AMO-{lead}": "active"}
    letters = await deals.world.rows("select reason from sync.dead_letters where project_id = 'deals'")
    assert letters == []


async def test_a_block_disables_the_project(deals: Deals) -> None:
    deals.amo.add_lead("Сделка")
    deals.amo.switches.is_blocked = True
    with pytest.raises(ConfigError, match="403"):
        await deals.pull()
    assert deals.amo.requests.total == 1
    [row] = await deals.world.rows("select is_enabled, disabled_reason from config.projects where project_id = 'deals'")
    assert row["is_enabled"] is False
    assert "support" in row["disabled_reason"]
