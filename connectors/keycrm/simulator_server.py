"""What stands between a simulated API and its server: headers, faults, broken connections. Simulators share it.

`leave_date_to_app` and `drop_connection` look behind the `send` that uvicorn hands over. Under another server (an
in-process transport) they do less, and say what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from connectors.keycrm.simulator_faults import Fault, LoggedRequest

Refuse = Callable[[int], Response]
"""The vendor's answer of that status: 429, 500, 502 or 503."""


def leave_date_to_app(send: Send) -> None:
    """Keep the server from adding its own `Date` beside the app's. Another server may send two."""
    cycle: Any = getattr(send, "__self__", None)
    headers = getattr(cycle, "default_headers", None)
    if isinstance(headers, list):
        cycle.default_headers = [(name, value) for name, value in headers if name.lower() != b"date"]


async def drop_connection(receive: Receive, send: Send) -> None:
    """Close the TCP connection now, wherever the answer stands. Raises ConnectionError where there is none to close."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionError("the simulator can drop connections of uvicorn alone")
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        continue


class Exchange:
    """One request's way back: adds the headers, notes the status, and lets things go wrong."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, now: datetime, logged: LoggedRequest, refuse: Refuse
    ) -> None:
        self._refuse = refuse
        self._scope = scope
        self._receive = receive
        self._send = send
        self._logged = logged
        leave_date_to_app(send)
        date = format_datetime(now, usegmt=True).encode()
        self.headers: list[tuple[bytes, bytes]] = [(b"date", date)]

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._logged.status = message["status"]
            message["headers"] = [*message.get("headers", []), *self.headers]
        await self._send(message)

    async def reply(self, response: Response) -> None:
        await response(self._scope, self._receive, self.send)

    async def too_many(self, seconds: float) -> None:
        whole = max(1, -int(-seconds // 1))
        self.headers.append((b"retry-after", b"%d" % whole))
        await self.reply(self._refuse(429))

    async def fail(self, fault: Fault, app: Answered) -> None:
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await app(self._scope, self._receive, self.send)
            return
        if fault.kind in ("cut", "truncated"):
            start, whole = await app.collect(self._scope, self._receive)
            await self._cut(start, whole, is_complete=fault.kind == "truncated")
            return
        if fault.is_applied:
            await app.collect(self._scope, self._receive)
        match fault.kind:
            case "too_many":
                await self.too_many(fault.seconds)
            case "server_error":
                await self.reply(self._refuse(500))
            case "unavailable":
                await self.reply(self._refuse(503))
            case "bad_gateway":
                await self.reply(self._refuse(502))
            case "timeout":
                await _wait_for_disconnect(self._receive, fault.seconds)
                await drop_connection(self._receive, self._send)
            case _:
                await drop_connection(self._receive, self._send)

    async def _cut(self, start: Message, whole: bytes, *, is_complete: bool) -> None:
        half = whole[: max(1, len(whole) // 2)]
        length = len(half) if is_complete else len(whole)
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        start["headers"] = [*headers, (b"content-length", b"%d" % length)]
        await self.send(start)
        await self.send({"type": "http.response.body", "body": half, "more_body": not is_complete})
        if not is_complete:
            await drop_connection(self._receive, self._send)


class Answered:
    """The app behind the faults, with the request's body that has been read already."""

    def __init__(self, app: Any, body: bytes) -> None:
        self._app = app
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": self._body, "more_body": False}

        await self._app(scope, replay, send)

    async def collect(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """Let the app do its work, and keep its answer: (start message, body)."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self(scope, receive, keep)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def parsed_body(body: bytes) -> Any:
    """JSON, else text; None without a body."""
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")


async def _wait_for_disconnect(receive: Receive, seconds: float) -> None:
    """Hang, but not on a client that has gone: the server could not stop meanwhile."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(gone(), seconds)
    except TimeoutError:
        return
