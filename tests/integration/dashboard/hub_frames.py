"""A bare WebSocket to the hub, for tests of its frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dashboard_process import Dashboard
from websockets.sync.client import ClientConnection, connect

END = "\x1e"
HANDSHAKE = '{"protocol":"json","version":1}' + END


def address(dash: Dashboard, **query: str) -> str:
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{dash.url.replace('http', 'ws', 1)}/hubs/keycrm?{parameters}"


@contextmanager
def hub(dash: Dashboard, **query: str) -> Iterator[ClientConnection]:
    """A WebSocket after its handshake."""
    with connect(address(dash, access_token=dash.token(dash.user()), **query)) as socket:
        socket.send(HANDSHAKE)
        assert socket.recv(10) == "{}" + END
        yield socket


def receive(socket: ClientConnection) -> list[dict[str, Any]]:
    """The messages of the next frame."""
    frame = socket.recv(20)
    assert isinstance(frame, str)
    *messages, rest = frame.split(END)
    assert rest == ""
    return [json.loads(message) for message in messages]
