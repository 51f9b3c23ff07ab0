"""A client of server-sent events, which reads in a thread and can be asked what it has seen."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.waiting import wait_until


@dataclass
class Message:
    event: str
    event_id: int | None
    data: Any


@dataclass
class SseClient:
    status: int
    headers: httpx.Headers
    messages: list[Message] = field(default_factory=list)
    last_id: int | None = None
    """As a browser keeps it: of messages without an event too."""
    has_ended: bool = False

    @property
    def events(self) -> list[tuple[str, str]]:
        """(kind, entity_id) of the changes that came."""
        return [(one.event, one.data["entity_id"]) for one in self.messages if one.event not in ("reset", "end")]

    def wait_for(self, count: int, seconds: float = 20) -> list[Message]:
        wait_until(lambda: len(self.messages) >= count, seconds, lambda: f"{count} messages, got {self.messages}")
        return self.messages

    def read(self, lines: Iterator[str]) -> None:
        event, event_id, data = "message", None, ""
        for line in lines:
            name, _, value = line.partition(": ")
            if line == "":
                if event_id is not None:
                    self.last_id = event_id
                if data:
                    self.messages.append(Message(event, event_id, json.loads(data)))
                event, event_id, data = "message", None, ""
            elif name == "event":
                event = value
            elif name == "data":
                data += value
            elif name == "id":
                event_id = int(value)


@contextmanager
def listen(url: str, headers: dict[str, str], last_id: int | None = None, **query: Any) -> Iterator[SseClient]:
    """A client that listens until the block ends; its first position has arrived."""
    if last_id is not None:
        headers = {**headers, "Last-Event-ID": str(last_id)}
    timeout = httpx.Timeout(30, read=None)
    with (
        httpx.Client(timeout=timeout) as http,
        http.stream("GET", f"{url}/api/stream/orders", headers=headers, params=query) as response,
    ):
        client = SseClient(response.status_code, response.headers)
        if response.status_code != 200:
            response.read()
            client.messages.append(Message("refused", None, response.json()))
            yield client
            return

        def read() -> None:
            try:
                client.read(response.iter_lines())
            except (httpx.TransportError, httpx.StreamError, OSError):
                client.has_ended = True  # closed by us, or the server died
            client.has_ended = True

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        wait_until(lambda: client.last_id is not None or client.has_ended)
        yield client
        network = response.extensions["network_stream"].get_extra_info("socket")
        with contextlib.suppress(OSError):  # the server was killed
            network.shutdown(socket.SHUT_RDWR)
        thread.join(10)
