from __future__ import annotations

import asyncio
import json
import random
from datetime import datetime
from typing import Any

import pytest

from connectors.errors import ConfigError
from connectors.protocol import MappingContext
from connectors.records import Batch
from sync import dead_letters, replay
from sync.normalise import drain
from sync.process import process_all
from sync.pull import pull_project
from sync.requests import run_due
from tests.support.toy_crm import ToyCrm, minute
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def live_through(world: World, seed: int, steps: int = 60) -> None:
    """A random life of a shop: changes at the CRM, webhooks late, doubled and unreadable, pulls, re-reads, drains."""
    dice = random.Random(seed)
    crm = world.crm
    for step in range(steps):
        order_id = str(dice.randint(1, 8))
        at = minute(step + dice.choice([0, 0, 0, -5, 0.5]))
        row: dict[str, Any] = {
            "status": dice.randint(1, 4),
            "group": dice.randint(1, 2),
            "source": dice.choice([None, 2, 3]),
            "updated_at": dice.choice([at, at, None]) if dice.random() < 0.1 else at,
            "changed_at": dice.choice([at, None]),
            "total": dice.randint(1, 100),
        }
        match dice.choice(
            ["hook", "hook", "hooks", "order", "order", "gone", "customer", "source", "bad", "pull", "read"]
        ):
            case "hook":
                await world.webhook(json.dumps({"id": order_id, **row, "utm": dice.choice([None, "x"])}))
            case "hooks":
                body = json.dumps({"id": order_id, **row})
                await world.webhook(body, body, json.dumps({"id": order_id, **row, "status": 9}))
            case "order":
                extra = {
                    "items": dice.sample(["a", "b", "c"], dice.randint(0, 3)),
                    "payments": dice.sample(["1", "2", "3"], dice.randint(0, 3)),
                    "customer": dice.randint(1, 3),
                    "customer_name": dice.choice(["Олена", "Ivan", None]),
                    "utm": dice.choice([None, "google", "meta"]),
                }
                extra["payments"] = [f"{order_id}-{number}" for number in extra["payments"]]
                crm.put("orders", order_id, **{**row, "updated_at": at}, **extra)
            case "gone":
                crm.records.get("orders", {}).pop(order_id, None)
            case "customer":
                crm.put("customers", str(dice.randint(1, 3)), name=dice.choice("ABC"), updated_at=at)
            case "source":
                crm.put("sources", "2", name="Shop", currency=dice.choice(["EUR", "USD"]))
            case "bad":
                await world.webhook('{"trouble": "skip"}', json.dumps({"id": order_id, **row, "total": "1e40"}))
            case "pull":
                await pull_project(world.pool, world.keyring, "shop", full=dice.random() < 0.5, lookup=world.lookup)
            case "read":
                await run_due(world.pool, world.keyring, single_only=True, lookup=world.lookup)
        if dice.random() < 0.4:
            await drain(world.pool, "shop", limit=dice.choice([1, 3, None]), lookup=world.lookup)
    await process_all(world.pool, lookup=world.lookup)


@pytest.mark.parametrize("seed", range(6))
async def test_a_replay_gives_the_core_that_was_there(world: World, seed: int) -> None:
    await live_through(world, seed)
    before = await world.snapshot()
    letters = await world.rows("select raw_id, state from sync.dead_letters order by dead_letter_id")
    assert sum(map(len, before.values())) > 10

    result = await replay.replay_project(world.pool, "shop", lookup=world.lookup)

    assert await world.snapshot() == before
    assert result.rows == await world.value(
        "select (select count(*) from raw.webhook_events) + (select count(*) from raw.api_records)"
    )
    assert result.events == len(before["order_status_events"])
    assert await world.rows("select raw_id, state from sync.dead_letters order by dead_letter_id") == letters
    [run] = await world.rows("select * from sync.runs where kind = 'replay'")
    assert (run["state"], run["rows_seen"]) == ("success", result.rows)


async def test_a_replay_heals_a_core_that_was_damaged(world: World) -> None:
    await live_through(world, 7)
    before = await world.snapshot()
    await world.execute("delete from core.order_status_events where order_id in ('1', '2')")
    await world.execute("update core.orders set grand_total = -1")
    await world.execute("insert into core.statuses (project_id, status_id, name) values ('shop', 'stray', 'Stray')")
    await replay.replay_project(world.pool, "shop", lookup=world.lookup)
    assert await world.snapshot() == before


async def test_a_replay_of_a_period_adds_what_is_missing_and_deletes_nothing(world: World) -> None:
    await live_through(world, 8)
    before = await world.snapshot()
    await world.execute("delete from core.order_status_events where order_id = '1'")
    first = await world.value("select min(received_at) from raw.webhook_events")
    nothing = await replay.replay_project(world.pool, "shop", until=first, lookup=world.lookup)
    assert await world.snapshot() != before
    result = await replay.replay_project(world.pool, "shop", since=first, lookup=world.lookup)
    after = await world.snapshot()
    assert after["orders"] == before["orders"]
    assert len(after["order_status_events"]) >= len(before["order_status_events"])
    assert nothing.rows + result.rows == await world.value(
        "select (select count(*) from raw.webhook_events) + (select count(*) from raw.api_records)"
    )


async def test_readers_never_see_half_a_project_while_it_is_replayed(world: World) -> None:
    for number in range(300):
        await world.webhook(json.dumps({"id": number, "status": 1, "changed_at": minute(number)}))
    await process_all(world.pool, lookup=world.lookup)
    seen: set[int] = set()
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            seen.add(await world.value("select count(*) from core.order_status_events"))
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    steps: list[tuple[int, int]] = []
    await replay.replay_project(
        world.pool, "shop", progress=lambda rows, total: steps.append((rows, total)), lookup=world.lookup
    )
    done.set()
    await watcher
    assert seen == {300}
    assert steps[-1] == (300, 300)


async def test_a_replay_that_fails_leaves_core_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await live_through(world, 9)
    before = await world.snapshot()

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("sync.normalise.write_changes", fail)
    with pytest.raises(RuntimeError):
        await replay.replay_project(world.pool, "shop", lookup=world.lookup)
    assert await world.snapshot() == before
    assert await world.value("select state from sync.runs where kind = 'replay'") == "failed"


async def test_what_a_person_discarded_stays_discarded(world: World) -> None:
    await world.webhook('{"trouble": "skip"}')
    await process_all(world.pool, lookup=world.lookup)
    assert await dead_letters.discard(world.pool) == 1
    result = await replay.replay_project(world.pool, "shop", lookup=world.lookup)
    assert result.failed == 1
    assert await dead_letters.list_letters(world.pool) == []


async def test_echoes_are_looked_for_where_something_is_written_and_in_no_replay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    map_webhook = ToyCrm.map_webhook

    def watched(self: ToyCrm, context: MappingContext, *rest: Any) -> Batch:
        seen.append(context.looks_for_echoes)
        return map_webhook(self, context, *rest)

    monkeypatch.setattr(ToyCrm, "map_webhook", watched)
    silent = {"outbound_orders": False, "outbound_customers": False, "stock": False}
    await world.add_project("silent", vms=silent)
    for project_id in ("shop", "silent"):
        await world.webhook(json.dumps({"id": 1, "status": 1, "changed_at": minute(1)}), project_id=project_id)
        await drain(world.pool, project_id, lookup=world.lookup)
    await replay.replay_project(world.pool, "shop", lookup=world.lookup)
    assert seen == [True, False, False]


async def test_webhooks_that_land_meanwhile_are_applied_afterwards(world: World) -> None:
    await world.webhook(json.dumps({"id": 1, "status": 1, "changed_at": minute(1)}))
    await replay.replay_project(world.pool, "shop", lookup=world.lookup)  # before it was drained at all
    assert await world.value("select count(*) from core.order_status_events") == 1
    await world.webhook(json.dumps({"id": 1, "status": 2, "changed_at": minute(2)}))
    result = await process_all(world.pool, lookup=world.lookup)
    assert (result.rows, result.events) == (2, 1)


async def test_a_replay_of_an_unknown_project_is_refused(world: World) -> None:
    with pytest.raises(ConfigError):
        await replay.replay_project(world.pool, "nobody", lookup=world.lookup)


async def test_processing_tells_its_progress(world: World) -> None:
    await world.add_project("other")
    for number in range(5):
        body = json.dumps({"id": number, "status": 1, "changed_at": minute(number)})
        await world.webhook(body, body)
        await world.webhook(body, project_id="other")
    told: list[tuple[int, int]] = []
    result = await process_all(world.pool, progress=lambda done, total: told.append((done, total)), lookup=world.lookup)
    assert (result.rows, result.events, result.failed) == (15, 10, 0)
    assert told[-1] == (15, 15)
    assert datetime.fromisoformat(minute(0)) == await world.value(
        "select min(status_changed_at) from core.order_status_events"
    )
