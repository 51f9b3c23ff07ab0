from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from connectors.errors import RetryError
from database import migrate
from database.connection import open_pool
from database.embedded import EmbeddedServer
from database.encryption import Keyring
from database.repositories import heartbeats, locks, queue
from sync import relay
from tests.support.relaying import running_relay, until
from tests.support.toy_crm import minute
from tests.support.world import World

pytestmark = pytest.mark.anyio


def hook(order_id: int, status: int = 1, at: float = 0, **values: Any) -> str:
    return json.dumps({"id": order_id, "status": status, "changed_at": minute(at), "updated_at": minute(at), **values})


def events_are(world: World, count: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return bool(await world.value("select count(*) from core.order_status_events") == count)

    return check


async def test_a_webhook_is_in_core_within_a_second(world: World) -> None:
    async with running_relay(world):
        delays = []
        for number in range(20):
            await world.webhook(hook(number, quiet=True))
            delays.append(await until(events_are(world, number + 1)))
    assert sorted(delays)[18] < 1.0
    assert sorted(delays)[10] < 0.3


async def test_the_items_of_an_order_follow_its_webhook(world: World) -> None:
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=["a"])
    async with running_relay(world):
        await world.webhook(hook(1))

        async def has_items() -> bool:
            return bool(await world.value("select count(*) from core.order_items"))

        assert await until(has_items) < 5
    assert world.crm.reads == [("orders", "1")]
    assert await world.value("select state from sync.requests") == "done"


async def test_a_project_that_wants_no_real_time_is_left_to_the_batches(world: World) -> None:
    await world.execute("update config.projects set sync = jsonb_set(sync, '{real_time}', 'false')")
    await world.add_project("other")
    async with running_relay(world) as task:
        await world.webhook(hook(1))
        await world.webhook(hook(2), project_id="other")

        async def other_is_applied() -> bool:
            return bool(await world.value("select count(*) from core.orders where project_id = 'other'"))

        await until(other_is_applied, task)
    assert await world.value("select count(*) from core.orders where project_id = 'shop'") == 0
    assert await world.value("select count(*) from sync.raw_queue where project_id = 'shop'") == 1


async def test_what_landed_while_no_relay_ran_is_taken_up(world: World) -> None:
    await world.webhook(hook(1, quiet=True))
    async with running_relay(world):
        await until(events_are(world, 1))


async def test_a_missed_notification_is_made_up_for_by_polling(world: World) -> None:
    async with running_relay(world):
        async with world.pool.connection() as connection, connection.transaction():
            await connection.execute("set local session_replication_role = replica")  # no trigger, no NOTIFY
            cursor = await connection.execute(
                "insert into raw.webhook_events (project_id, crm, content_hash, body) values ('shop', 'toy', '', %s)"
                " returning event_id",
                [hook(1, quiet=True)],
            )
            row = await cursor.fetchone()
            assert row is not None
            await queue.enqueue(connection, "shop", "webhook", [row["event_id"]])
        assert await until(events_are(world, 1)) < 3 * relay.POLL_SECONDS


async def test_a_project_that_another_process_drains_is_tried_again_soon(world: World) -> None:
    async with running_relay(world):
        async with locks.own_connection(world.pool) as holder:
            await locks.try_session(holder, queue.lock_name("shop"))
            await world.webhook(hook(1, quiet=True))
            await world.webhook(hook(2, quiet=True))
        assert await until(events_are(world, 2)) < 1.5


async def test_a_slow_crm_does_not_hold_up_other_projects_rereads(world: World) -> None:
    await world.add_project("other")
    world.crm.put("orders", "7", status=1, changed_at=minute(0), updated_at=minute(0), items=["a"])
    blocked, go_on = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        blocked.set()
        await go_on.wait()

    world.crm.before_read = lambda stream, crm_id: hang() if crm_id != "7" else None
    async with running_relay(world):
        for number in range(20, 40):
            await world.webhook(hook(number))
        await asyncio.wait_for(blocked.wait(), 20)
        await world.webhook(hook(7), project_id="other")

        async def other_is_read() -> bool:
            return bool(await world.value("select count(*) from core.order_items where project_id = 'other'"))

        assert await until(other_is_read) < 5
        go_on.set()


async def test_a_failed_read_is_repeated_by_the_relay(world: World) -> None:
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=["a"])
    attempts: list[float] = []

    def fail_once(stream: str, crm_id: str) -> None:
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            raise RetryError("The CRM answers 503.")

    world.crm.before_read = fail_once
    async with running_relay(world):
        await world.webhook(hook(1))

        async def is_done() -> bool:
            return bool(await world.value("select count(*) from sync.requests where state = 'done'"))

        await until(is_done)
    assert attempts[1] - attempts[0] >= 1.9


async def test_it_beats_and_says_goodbye(world: World) -> None:
    async with running_relay(world), world.pool.connection() as connection:
        beat = await heartbeats.newest(connection, "relay")
        assert beat is not None
        assert (beat.instance, beat.age_seconds < 10) == ("test", True)
    async with world.pool.connection() as connection:
        assert await heartbeats.newest(connection, "relay") is None


async def test_a_stop_leaves_work_under_way_to_the_next_relay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "GRACE_SECONDS", 0.1)
    world.crm.put("orders", "1", status=1, changed_at=minute(0), updated_at=minute(0), items=["a"])
    started, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        await never.wait()

    world.crm.before_read = lambda stream, crm_id: hang()
    async with running_relay(world):
        await world.webhook(hook(1))
        await asyncio.wait_for(started.wait(), 20)
    world.crm.before_read = None
    async with running_relay(world):

        async def is_done() -> bool:
            return bool(await world.value("select count(*) from sync.requests where state = 'done'"))

        await until(is_done)


async def test_a_project_that_cannot_be_written_does_not_stop_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.add_project("other")
    real = relay.drain
    broken = True

    async def drain(pool: Any, project_id: str, **options: Any) -> Any:
        if broken and project_id == "shop":
            raise RuntimeError("the disk is full")
        return await real(pool, project_id, **options)

    monkeypatch.setattr(relay, "drain", drain)
    async with running_relay(world):
        await world.webhook(hook(1, quiet=True))
        await world.webhook(hook(2, quiet=True), project_id="other")
        await until(events_are(world, 1))
        broken = False
        await until(events_are(world, 2))


async def test_a_relay_killed_in_the_middle_loses_and_doubles_nothing(world: World, environment: Any) -> None:
    orders, statuses = 400, 5
    for status in range(statuses):
        for start in range(0, orders, 20):
            await world.webhook(*(hook(number, status, status, quiet=True) for number in range(start, start + 20)))
    command = [sys.executable, "-m", "tests.support.relay_process", world.url]
    root = Path(__file__).parents[3]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    kills = 0
    for _ in range(50):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=root, env={**os.environ, "PYTHONPATH": path}, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            if kills < 3:
                before = await world.value("select count(*) from core.order_status_events")
                await world.webhook(*(hook(number, 90 + kills, 90 + kills, quiet=True) for number in range(10)))

                async def has_begun(before: int = before) -> bool:
                    return bool(await world.value("select count(*) from core.order_status_events") > before)

                await until(has_begun)
                process.kill()
                kills += 1
                continue
            await until(events_are(world, orders * statuses + 3 * 10))
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
            break
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    assert kills == 3
    assert await world.value("select count(*) from sync.raw_queue") == 0
    assert await world.value("select count(*) from core.orders") == orders


@pytest.fixture
def own_server(tmp_path: Path) -> Any:
    """A server that a test may restart."""
    server = EmbeddedServer(tmp_path / "own")
    server.start()
    server.create_database("crm_elt")
    migrate.upgrade(server.url("crm_elt"))
    yield server
    server.stop("immediate")


async def test_it_survives_a_restart_of_the_database_and_says_so_once(
    own_server: EmbeddedServer, keyring: Keyring
) -> None:
    url = own_server.url("crm_elt")
    async with open_pool(url) as pool:
        world = World(url, pool, keyring)
        await world.add_project()
        with structlog.testing.capture_logs() as logs:
            async with running_relay(world) as task:
                await world.webhook(hook(1, quiet=True))
                await until(events_are(world, 1), task)
                own_server.stop("immediate")

                async def noticed() -> bool:
                    return any(entry["event"] == "database_away" for entry in logs)

                await until(noticed, task)
                own_server.start()
                await world.webhook(hook(2, quiet=True))
                await until(events_are(world, 2), task)
        assert [entry["event"] for entry in logs if entry["event"].startswith(("database", "relay"))] == [
            "relay_started",
            "database_away",
            "relay_connected",
            "relay_stopped",
        ]
