"""A record that fails is tried again after 2, 4 and 8 minutes; then its owner is alerted, once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sync.failed_records import retry_due
from sync.normalise import drain
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def letter(world: World) -> dict[str, Any]:
    (row,) = await world.rows(
        """
        select state, retries, attempts,
            round(extract(epoch from next_retry_at - last_failed_at))::int as wait
        from sync.dead_letters
        """
    )
    return row


async def pass_time(world: World) -> int:
    """Let what waits be due, and apply it; how many were tried again."""
    await world.execute("update sync.dead_letters set next_retry_at = now() where next_retry_at is not null")
    async with world.pool.connection() as connection:
        count = await retry_due(connection)
    await drain(world.pool, lookup=world.lookup)
    return count


async def fail_one(world: World) -> None:
    await world.webhook(json.dumps({"id": "1", "trouble": "skip", "updated_at": minute(1)}))
    await drain(world.pool, lookup=world.lookup)


async def test_a_record_is_tried_again_three_times_and_then_its_owner_is_alerted_once(world: World) -> None:
    await fail_one(world)
    assert await letter(world) == {"state": "open", "retries": 0, "attempts": 1, "wait": 120}
    assert await pass_time(world) == 1
    assert await letter(world) == {"state": "open", "retries": 1, "attempts": 2, "wait": 240}
    assert await pass_time(world) == 1
    assert await letter(world) == {"state": "open", "retries": 2, "attempts": 3, "wait": 480}
    assert await world.value("select count(*) from sync.alerts") == 0
    assert await pass_time(world) == 1
    assert await letter(world) == {"state": "permanently_failed", "retries": 3, "attempts": 4, "wait": None}
    assert await pass_time(world) == 0
    (alert,) = await world.rows("select * from sync.alerts")
    assert "The record is unreadable" in alert["message"]
    assert "crm-elt dead-letters retry" in alert["message"]
    assert await world.value("select count(*) from sync.integration_logs where level = 'error'") == 1


async def test_what_is_mended_meanwhile_heals_without_a_person(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await fail_one(world)
    await pass_time(world)
    monkeypatch.setattr("tests.support.toy_crm.load", json.loads)
    assert await pass_time(world) == 1
    (row,) = await world.rows("select state, closed_by from sync.dead_letters")
    assert row == {"state": "resolved", "closed_by": "applied"}
    assert await world.value("select count(*) from core.orders where order_id = '1'") == 1
    assert await world.value("select count(*) from sync.alerts") == 0


async def test_a_permanently_failed_record_can_be_retried_by_hand(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sync.dead_letters import retry

    await fail_one(world)
    for _ in range(3):
        await pass_time(world)
    again = await retry(world.pool, world.keyring, lookup=world.lookup)
    assert (again.resolved, again.failed) == (0, 1)
    assert (await letter(world))["state"] == "permanently_failed"
    assert await world.value("select count(*) from sync.alerts") == 1
    monkeypatch.setattr("tests.support.toy_crm.load", json.loads)
    done = await retry(world.pool, world.keyring, lookup=world.lookup)
    assert (done.resolved, done.failed) == (1, 0)


async def test_records_that_are_not_due_are_left_alone(world: World) -> None:
    await fail_one(world)
    async with world.pool.connection() as connection:
        assert await retry_due(connection) == 0
