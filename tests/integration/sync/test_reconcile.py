"""The comparison of ids: what is missing here is read, what is gone there asked for, a cut list not believed."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import ConfigError, RetryError
from sync.pull import pull_project
from sync.reconcile import StreamReconciliation, reconcile_project
from sync.requests import run_due
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def compare(world: World, **options: Any) -> dict[str, StreamReconciliation]:
    results = await reconcile_project(world.pool, world.keyring, "shop", lookup=world.lookup, **options)
    await run_due(world.pool, world.keyring, lookup=world.lookup)
    return {result.stream: result for result in results}


async def filled(world: World, count: int = 5) -> None:
    for number in range(count):
        world.crm.put("orders", str(number), updated_at=minute(number), status="1", items=["a"])
        world.crm.put("stocks", str(number), quantity=number)
    await pull_project(world.pool, world.keyring, "shop", lookup=world.lookup)


async def orders(world: World) -> dict[str, bool]:
    rows = await world.rows("select order_id, is_deleted from core.orders order by order_id")
    return {row["order_id"]: row["is_deleted"] for row in rows}


async def test_where_nothing_differs_nothing_is_done(world: World) -> None:
    await filled(world)
    found = await compare(world)
    assert found["orders"].as_row() == {
        "stream": "orders", "listed": 5, "known": 5, "missing": 0, "gone": 0, "error": None,
    }  # fmt: skip
    assert world.crm.reads == []
    assert await world.value("select count(*) from sync.runs where kind = 'reconcile' and state = 'success'") == 2


async def test_an_order_that_a_pull_never_saw_is_read(world: World) -> None:
    await filled(world)
    world.crm.put("orders", "old", updated_at=minute(-9000), status="1", items=["a"])
    found = await compare(world)
    assert (found["orders"].missing, found["orders"].gone) == (1, 0)
    assert world.crm.reads == [("orders", "old")]
    assert "old" in await orders(world)


async def test_an_order_that_is_gone_is_asked_for_and_marked_deleted(world: World) -> None:
    await filled(world)
    del world.crm.records["orders"]["3"]
    found = await compare(world)
    assert found["orders"].gone == 1
    assert world.crm.reads == [("orders", "3")]
    assert await orders(world) == {"0": False, "1": False, "2": False, "3": True, "4": False}
    assert (await compare(world))["orders"].gone == 0  # known to be deleted by now


async def test_an_order_that_a_list_left_out_by_mistake_stays(world: World) -> None:
    await filled(world)
    world.crm.unlisted = {"2"}
    assert (await compare(world))["orders"].gone == 1
    assert await orders(world) == {str(number): False for number in range(5)}


async def test_a_list_that_lacks_much_is_not_believed_until_somebody_says_so(world: World) -> None:
    await filled(world, 40)
    world.crm.records["stocks"] = {"0": {"id": "0", "quantity": 1}}
    refused = (await compare(world))["stocks"]
    assert refused.error is not None
    assert "lacks 39 of 40 known ones: nothing was done" in refused.error
    tombstones = "select count(*) from raw.api_records where stream like 'stocks%%' and stream <> 'stocks'"
    assert await world.value(tombstones) == 0
    assert await world.value("select error_word from sync.runs where kind = 'reconcile' and state = 'failed'") == (
        "permanent"
    )
    assert (await compare(world, accept=True))["stocks"].gone == 39
    assert await world.value(tombstones) == 39


async def test_what_cannot_be_read_alone_and_is_missing_brings_a_full_pull(world: World) -> None:
    await filled(world)
    world.crm.put("stocks", "new", quantity=7)
    results = await reconcile_project(world.pool, world.keyring, "shop", lookup=world.lookup)
    assert {result.stream: result.missing for result in results} == {"orders": 0, "stocks": 1}
    (request,) = await world.rows("select stream, is_full, requested_by from sync.requests where state = 'queued'")
    assert request == {"stream": "stocks", "is_full": True, "requested_by": "reconcile"}


async def test_a_list_that_fails_is_told_and_does_not_stop_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(world)
    listed = world.crm.list_ids

    async def list_ids(http: Any, account: Any, stream: str) -> Any:
        if stream == "orders":
            raise RetryError("the CRM is away")
        async for ids in listed(http, account, stream):
            yield ids

    monkeypatch.setattr(world.crm, "list_ids", list_ids)
    found = await compare(world)
    assert (found["orders"].error, found["stocks"].error) == ("the CRM is away", None)


async def test_a_disabled_project_is_not_compared(world: World) -> None:
    await world.execute("update config.projects set is_enabled = false")
    with pytest.raises(ConfigError, match="project enable shop"):
        await compare(world)
