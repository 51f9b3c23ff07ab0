"""Senders that die, that run side by side, and that send as fast as changes are made."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.protocol import Change, PushResult
from database.repositories import locks, outbox
from sync import relay
from sync.two_way import outbound
from tests.support.http_server import serve
from tests.support.toy_books import ToyBooks
from tests.support.vms_changes import insert, mapping, send, set_project, states
from tests.support.world import World

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
KILLED_AT = {5: "before", 21: "after", 40: "after", 63: "before", 90: "after", 120: "before", 150: "after",
             151: "after", 200: "before", 260: "after"}  # fmt: skip
"""Number of the request -> whether its client is killed before the CRM does it, or after."""

WAITING = "select count(*) from sync.outbox where state in ('waiting', 'sending')"


class Murderous:
    """The toy CRM as a server that kills its client at certain requests: it does what it was asked all the same."""

    def __init__(self, books: ToyBooks) -> None:
        self.books = books
        self.requests = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.kills: list[str] = []

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        self.requests += 1
        when = KILLED_AT.get(self.requests)
        if when == "before":
            self._kill(when)
        changes = [Change(**{**row, "fields": frozenset(row["fields"])}) for row in json.loads(body)]
        results = [result for result in self.books.push(changes) if isinstance(result, PushResult)]
        assert len(results) == len(changes)
        if when == "after":
            self._kill(when)
        rows = [
            {"crm_id": r.crm_id, "was_there": r.was_there, "customer_id": r.customer_id} for r in results
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(rows).encode()})

    def _kill(self, when: str) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills.append(when)


def start(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.support.outbound_process", url], cwd=ROOT)


async def test_a_sender_killed_again_and_again_loses_nothing_and_sends_nothing_twice(shop: World) -> None:
    server = Murderous(shop.crm.books)
    with serve(server) as url:
        await set_project(shop, base_url=url, sync='{"max_concurrent_requests": 4, "retry_attempts": 3}')
        server.process = start(shop.url)
        try:
            for number in range(1, 101):
                await insert(shop, "customers", id=number, full_name=f"C{number}")
                await insert(shop, "orders", id=number, customer_id=number)
                await insert(shop, "payments", id=number, order_id=number, amount=number)
                if number % 3 == 0:
                    await shop.execute("update vms.orders set comment = 'changed' where id = %s", number - 1)
            async with asyncio.timeout(120):
                notes = 0
                while (waiting := await shop.value(WAITING)) or len(server.kills) < len(KILLED_AT):
                    if server.process.poll() is not None:
                        assert server.process.returncode == -signal.SIGKILL
                        server.process = start(shop.url)
                    if not waiting:  # changes of one object are sent as one: how many requests they take is not fixed
                        notes += 1
                        await shop.execute("update vms.customers set note = %s where id = 1", str(notes))
                    await asyncio.sleep(0.02)
        finally:
            server.process.terminate()
            server.process.wait(30)
    assert len(server.kills) == len(KILLED_AT)
    books = shop.crm.books
    assert Counter(books.created.values()) == {1: 300}
    assert {kind: len(books.of(kind)) for kind in ("customer", "order", "payment")} == {
        "customer": 100, "order": 100, "payment": 100,
    }  # fmt: skip
    assert sorted(float(row["amount"]) for row in books.of("payment")) == [float(n) for n in range(1, 101)]
    assert sum(row.get("comment") == "changed" for row in books.of("order")) == 33
    assert set(await states(shop)) <= {"sent", "skipped"}
    assert await shop.value("select count(*) from sync.mappings where sync_status = 'synced'") == 300
    assert await shop.value("select count(*) from sync.dead_letters") == 0


async def test_work_of_a_dead_process_is_taken_over_and_looked_up(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SETTLE_SECONDS", 0.0)
    await insert(shop, "orders", id=17)
    asked: list[bool] = []
    shop.crm.books.trouble_of = lambda change: asked.append(change.may_have_been_sent)
    async with locks.own_connection(shop.pool) as living:
        assert await locks.try_session(living, outbox.presence_name("other"))
        await shop.execute("update sync.outbox set state = 'sending', claimed_by = 'other', attempts = 1")
        await send(shop)
        assert await states(shop) == ["sending"]  # it lives
    await send(shop)
    assert (await states(shop), asked) == (["sent"], [True])


async def test_a_new_change_does_not_hurry_what_a_dead_process_may_be_sending_still(shop: World) -> None:
    await insert(shop, "orders", id=17)
    await shop.execute("update sync.outbox set state = 'sending', claimed_by = 'dead', attempts = 1")
    await shop.execute("update vms.orders set comment = 'more'")
    await send(shop)
    assert await states(shop) == ["waiting", "waiting"]
    assert shop.crm.books.pushes == []


async def test_what_is_being_sent_when_the_process_is_told_to_stop_is_finished(shop: World) -> None:
    await insert(shop, "orders", id=17)
    await insert(shop, "customers", id=5, full_name="Olena")
    begun, go_on, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    await set_project(shop, sync='{"max_concurrent_requests": 1}')

    async def hold() -> None:
        begun.set()
        await go_on.wait()

    shop.crm.before_push = lambda changes: hold()
    async with outbound.opened(shop.pool, shop.keyring, instance="a", stop=stop, lookup=shop.lookup) as sender:
        running = asyncio.create_task(sender.run(asyncio.Event()))
        await begun.wait()
        stop.set()
        go_on.set()
        await running
    assert sorted(await states(shop)) == ["sent", "waiting"]


async def test_what_cannot_be_finished_in_time_is_given_back_to_be_looked_up(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.two_way.outbound_project.GRACE_SECONDS", 0.01)
    await insert(shop, "orders", id=17)
    begun, never, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        begun.set()
        await never.wait()

    shop.crm.before_push = lambda changes: hold()
    async with outbound.opened(shop.pool, shop.keyring, instance="a", stop=stop, lookup=shop.lookup) as sender:
        running = asyncio.create_task(sender.run(asyncio.Event()))
        await begun.wait()
        stop.set()
        await running
    (row,) = await shop.rows("select state, attempts, may_have_been_sent from sync.outbox")
    assert row == {"state": "waiting", "attempts": 0, "may_have_been_sent": True}


async def test_senders_side_by_side_send_everything_once(shop: World) -> None:
    await shop.execute(
        "insert into vms.customers (project_id, full_name) select 'shop', 'C' || n from generate_series(1, 150) as n"
    )
    await shop.execute(
        "insert into vms.orders (project_id, customer_id) select 'shop', id from vms.customers order by id"
    )
    results = await asyncio.gather(*(send(shop) for _ in range(4)))
    while any(state in ("waiting", "sending") for state in await states(shop)):
        await send(shop)  # an order may have become due after everybody had looked
    assert sum(result.sent for result in results) <= 300
    assert Counter(shop.crm.books.created.values()) == {1: 300}
    assert len(shop.crm.books.log) == 300


async def test_the_relay_sends_a_change_within_a_second(shop: World) -> None:
    stop = asyncio.Event()
    arrived: dict[int, float] = {}
    everything = asyncio.Event()

    def note(changes: Sequence[Change]) -> None:
        arrived.update({change.vms_id: time.monotonic() for change in changes})
        if len(arrived) == 40:
            everything.set()

    shop.crm.before_push = note
    task = asyncio.create_task(
        relay.run(shop.url, shop.keyring, stop=stop, lookup=shop.lookup, instance=f"test:{os.getpid()}")
    )
    made: dict[int, float] = {}
    try:
        for number in range(1, 41):
            made[number] = time.monotonic()
            await insert(shop, "orders", id=number)
            await asyncio.sleep(0.05)
        await asyncio.wait_for(everything.wait(), 30)
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)
    delays = sorted(arrived[number] - made[number] for number in list(made)[5:])  # it had to start
    assert delays[int(len(delays) * 0.95)] < 1.0
    assert (await mapping(shop, "order", 40))["sync_status"] == "synced"
