"""Resuming under load: every committed event exactly once, in order, whatever breaks in between."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import threading
from collections import defaultdict
from collections.abc import Sequence

import httpx
from dashboard_process import PROJECTS, Dashboard
from sse_client import Message, SseClient, listen

from database.connection import connect
from database.repositories import stream_events
from database.repositories.stream_events import NewEvent
from tests.support.waiting import wait_until

WRITERS = 6
TRANSACTIONS = 60
"""Of each writer at least: it goes on until each client has come back often enough."""
VISITS = 6
SEED = 20261121


class Writers(threading.Thread):
    """Several connections that publish at random: projects, sizes, lengths of transactions, roll-backs."""

    def __init__(self, url: str, clients: Sequence[Client]) -> None:
        super().__init__(daemon=True)
        self._url, self._clients = url, clients
        self.committed: dict[int, list[str]] = {number: [] for number in range(WRITERS)}
        """writer -> entity ids in the order of its commits"""

    def run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._write(number) for number in range(WRITERS)))

    async def _write(self, number: int) -> None:
        dice = random.Random(SEED + number)
        async with await connect(self._url) as connection:
            for count in itertools.count():
                if count >= TRANSACTIONS and all(client.visits >= VISITS for client in self._clients):
                    break
                entity_ids = [f"{number}-{count}-{n}" for n in range(dice.randint(1, 4))]
                events = [
                    NewEvent(dice.choice(PROJECTS), "order", entity_id, "crm", {"n": 1}) for entity_id in entity_ids
                ]
                is_kept = dice.random() > 0.15
                async with connection.transaction(force_rollback=not is_kept):
                    await connection.execute("select count(*) from generate_series(1, %s)", [dice.randint(1, 200_000)])
                    await stream_events.publish(connection, events)
                    await connection.execute("select count(*) from generate_series(1, %s)", [dice.randint(1, 50_000)])
                if is_kept:
                    self.committed[number] += [f"{event.project_id}:{event.entity_id}" for event in events]


class Client(threading.Thread):
    """Listens, leaves at random, comes back where it was."""

    def __init__(self, dash: Dashboard, headers: dict[str, str], first: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._dash, self._headers, self._dice = dash, headers, random.Random(seed)
        self.last = self.position = first
        self.seen: list[Message] = []
        self.visits = 0
        self.is_done = threading.Event()

    def run(self) -> None:
        while not self.is_done.is_set():
            try:
                with listen(self._dash.url, self._headers, self.last) as client:
                    if client.status == 200:
                        self.visits += 1
                        self._stay(client, self._dice.randint(1, 60))
            except (httpx.TransportError, OSError):
                continue  # the server was killed just then
            if client.status == 200:  # its reader has ended: what it has read is all that it will
                self.seen += client.messages
                self.last = client.last_id or self.last

    def _stay(self, client: SseClient, messages: int) -> None:
        """Until so many came, the server went, or the test is over."""

        def is_over() -> bool:
            self.position = client.last_id or self.position
            return len(client.messages) >= messages or client.has_ended or self.is_done.is_set()

        wait_until(is_over, 120)


def test_each_committed_event_comes_once_and_in_order_however_often_a_client_leaves(dash: Dashboard) -> None:
    [first] = dash.publish(("almond", "order", "first"))
    two = ["print-shop", "almond"]
    every = Client(dash, dash.bearer(dash.user(role="admin")), first, 1)
    some = Client(dash, dash.bearer(dash.user(projects=two)), first, 2)
    writers = Writers(dash.database_url, (every, some))
    for thread in (writers, every, some):
        thread.start()
    wait_until(lambda: len(every.seen) > 100, 120)
    dash.process.stop(signal.SIGKILL)
    dash.process.start()
    writers.join(120)
    committed = [name for names in writers.committed.values() for name in names]
    assert len(committed) > 500
    visible = [name for name in committed if name.split(":")[0] in two]
    last = dash.publish(("almond", "order", "last"))[0]
    wait_until(lambda: every.position >= last and some.position >= last, 60)
    for client in (every, some):
        client.is_done.set()
        client.join(60)
        assert client.visits >= VISITS

    for client, expected in ((every, committed), (some, visible)):
        names = [f"{one.data['project_id']}:{one.data['entity_id']}" for one in client.seen]
        assert names.pop() == "almond:last"
        missing, foreign = set(expected) - set(names), set(names) - set(expected)
        assert (missing, foreign) == (set(), set())
        assert len(names) == len(expected)  # each once
        ids = [one.event_id or 0 for one in client.seen]
        assert ids == sorted(set(ids))
        by_writer = defaultdict(list)
        for name in names:
            by_writer[int(name.split(":")[1].split("-")[0])].append(name)
        for number, own in by_writer.items():
            assert own == [name for name in writers.committed[number] if name in set(expected)]
