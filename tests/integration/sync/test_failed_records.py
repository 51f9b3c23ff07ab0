"""A record that fails is tried again after 2, 4 and 8 minutes; then its owner is alerted, once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sync.failed_records import retry_due
from sync.normalise import drain
from sync.pull import pull_project
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
    assert await world.value("select count(*) from sync.integration_logs where message like '%%no more%%'") == 1


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


async def test_the_integration_log_has_the_payload_masked_and_where_it_failed(world: World) -> None:
    secret = "olena@example.com"
    await world.webhook(json.dumps({"id": "1", "trouble": "bug", "email": secret}))
    await world.webhook(json.dumps({"id": "2", "trouble": "skip"}))
    await drain(world.pool, lookup=world.lookup)
    bug, skip = await world.rows("select error_word, message, details from sync.integration_logs order by log_id")
    assert bug["error_word"] == skip["error_word"] == "skip_row"
    assert "Mapping failed" in bug["message"]
    assert "The record is unreadable" in skip["message"]
    assert bug["details"]["traceback"][-1].startswith("tests/support/toy_crm.py:")
    assert "in load" in bug["details"]["traceback"][-1]
    assert "traceback" not in skip["details"]
    assert json.loads(skip["details"]["payload"])["id"] == "2"


async def test_many_failures_at_once_are_counted_in_the_log_and_all_kept(world: World) -> None:
    await world.webhook(*(json.dumps({"id": str(number), "trouble": "skip"}) for number in range(50)))
    await drain(world.pool, lookup=world.lookup)
    messages = [row["message"] for row in await world.rows("select message from sync.integration_logs order by log_id")]
    assert len(messages) == 21
    assert messages[-1] == "30 more records could not be applied: see the dead letters."
    assert await world.value("select count(*) from sync.dead_letters") == 50


async def test_a_pull_that_failed_says_where_in_the_log(world: World) -> None:
    phone = "+380501112233"

    def refuse(stream: str, page: int) -> None:
        raise ZeroDivisionError(f"a bug, with {phone} in its text")

    world.crm.before_page = refuse
    world.crm.put("orders", "1", updated_at=minute(1))
    with pytest.raises(ZeroDivisionError):
        await pull_project(world.pool, world.keyring, "shop", lookup=world.lookup)
    (row,) = await world.rows("select message, error_word, details from sync.integration_logs where level = 'error'")
    assert row["error_word"] == "permanent"
    assert any("in refuse" in frame for frame in row["details"]["traceback"])
    assert phone[1:] not in json.dumps(row["details"]) + row["message"]
